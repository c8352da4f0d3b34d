/** Adapter: `npm start`: a whole installation on this machine, in one process or in several, on an embedded Kubernetes API or another. */
import { relative, resolve } from 'node:path'
import { openRedisActivity } from '../activity/redis.ts'
import { readSettings } from '../env/settings.ts'
import { systemClock, systemRandom } from '../env/system.ts'
import { agentRuntimeArn, agentRuntimeId } from '../sessions/runtime-id.ts'
import { openLog } from '../telemetry/log.ts'
import { envFile, lockHome, openHome, writePrivate } from './home.ts'
import { holderOfPort } from './ports.ts'
import { localAccessKey } from './start/access-key.ts'
import { attachToApi } from './start/attached.ts'
import { startEmbeddedApi } from './start/embedded.ts'
import { applyHello, callHello } from './start/hello.ts'
import { startParts, type RunningParts } from './start/parts.ts'
import { startReplicas } from './start/replicas.ts'
import { localSettings } from './start/settings.ts'
import { firstCall, nextSteps, started, type Welcome } from './start/welcome.ts'

const settings = readSettings(
  {
    name: 'npm start --',
    description: 'Runs Carrel on this machine: operator, gateway, and an embedded Kubernetes API whose pods are processes.',
  },
  localSettings,
)

const home = openHome(settings.home)
const lock = lockHome(home)
if ('heldBy' in lock)
  giveUp(
    `process ${lock.heldBy} already runs an installation in ${home.root}: stop it, or choose another folder with --home (and other ports)`,
  )
await refuseBusyPort(settings.port, '--port')
await refuseBusyPort(settings.apiPort, '--api-port')

const log = openLog({ name: 'carrel', level: settings.logLevel, file: home.log })
process.on('unhandledRejection', (error) => {
  log.error({ err: error }, 'unhandled')
  giveUp(`an error that nobody expected: ${(error as Error)?.message}; ${home.log} has it whole`)
})
const env = { clock: systemClock, random: systemRandom, log }

/** A second signal this long after the first means: at once. */
const IMPATIENT_MS = 1_000

let isReady = false
const { kubeconfig } = settings
const starting =
  kubeconfig === undefined
    ? startEmbeddedApi(env, home, settings, () => isReady)
    : attachToApi(env, home, { ...settings, kubeconfig: resolve(kubeconfig) })
const api = await starting.catch((error: Error) => giveUp(error.message))
const key = await localAccessKey(api.admin, env.random)
const parts = settings.onlyApi ? undefined : await startAllParts().catch((error: Error) => giveUp(error.message))
stopOnSignals()
await parts?.ready.catch((error: Error) => giveUp(error.message))
isReady = true

const welcome: Welcome = {
  gatewayUrl: parts?.gatewayUrl ?? `http://127.0.0.1:${settings.port}`,
  apiUrl: api.url,
  home: shortPath(home.root),
  arn: undefined,
}
writeEnv()
process.stdout.write(started(welcome))
if (settings.hello && parts) {
  const runtime = await applyHello(env, api.admin)
  welcome.arn = agentRuntimeArn(agentRuntimeId(runtime), settings)
  writeEnv()
  process.stdout.write(firstCall(await callHello(env, parts.gatewayUrl, welcome.arn, key, settings.region)))
}
process.stdout.write(nextSteps(welcome))

async function startAllParts(): Promise<RunningParts> {
  const { redis, replicas } = settings
  // Opened here first: what is wrong with it is said on the terminal, once.
  const activity = redis === undefined ? undefined : await openRedisActivity({ ...settings, redis }, env)
  if (replicas === undefined) {
    const started = await startParts(env, home, settings, api, activity)
    return { ...started, stop: () => started.stop().finally(() => activity?.disconnect()) }
  }
  activity?.disconnect()
  if (redis === undefined)
    throw new Error('--replicas needs --redis URL: several gateways and operators keep in one Redis which sessions are in use')
  return startReplicas(env, home, { ...settings, replicas, redis }, api)
}

function writeEnv(): void {
  const { accessKeyId, secretAccessKey } = key
  writePrivate(
    home.env,
    envFile({
      gatewayUrl: welcome.gatewayUrl,
      kubeconfig: api.kubeconfig,
      region: settings.region,
      accessKeyId,
      secretAccessKey,
      runtimeArn: welcome.arn,
    }),
  )
}

function stopOnSignals(): void {
  let stoppingSinceMs: number | undefined
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // One Ctrl-C may come twice, from the terminal and through the launcher; a second one is meant.
      if (stoppingSinceMs !== undefined && env.clock.monotonic() - stoppingSinceMs > IMPATIENT_MS) process.exit(130)
      if (stoppingSinceMs !== undefined) return
      stoppingSinceMs = env.clock.monotonic()
      process.stdout.write('\n  stopping: ending agents…\n')
      void stop().then(() => process.exit(0))
    })
  }
}

async function stop(): Promise<void> {
  await Promise.all([parts?.stop(), api.stop()])
  if (!('heldBy' in lock)) lock.release()
  process.stdout.write('  stopped.\n')
}

async function refuseBusyPort(port: number, flag: string): Promise<void> {
  const holder = await holderOfPort(port)
  if (holder) giveUp(`port ${port} is held by ${holder}: stop it, or choose another with ${flag} N`)
}

/** As a user would type it from here. */
function shortPath(path: string): string {
  const fromHere = relative(process.cwd(), path) || '.'
  return fromHere.startsWith('..') ? path : fromHere
}

function giveUp(message: string): never {
  process.stderr.write(`carrel: ${message}\n`)
  process.exit(1)
}
