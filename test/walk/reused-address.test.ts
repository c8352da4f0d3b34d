/** Security rule 10 on a real node: an address that is another pod's by now, and a gateway that has not heard of it. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { openRedisActivity } from '../../src/activity/redis.ts'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { DEFAULT_SPOOL_LIMITS, startGateway, type StartOptions } from '../../src/gateway/start.ts'
import { loadCluster } from '../../src/kube/credentials.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { eventually } from '../kit/eventually.ts'
import { HelmInstallation } from '../kit/helm-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { onCluster } from '../kit/place.ts'
import { RawGateway, newSessionId, type RawAnswer } from '../kit/raw-gateway.ts'
import { sharedFolder } from '../kit/shared-folder.ts'

const SYSTEM = '/api/v1/namespaces/carrel-system'
const SECRET = 'for the victim alone'
const quiet = { debug() {}, info() {}, warn() {}, error() {} }

onCluster('row 10: a call to a session whose address is another pod by now reaches nobody, by the proof alone', async (t) => {
  const scene = await staged(t, 'meter')
  const answer = await scene.callVictim()
  assert.ok(answer.status === 409 || answer.status === 424, answer.body)
  assert.ok(!scene.seenByOther().includes(SECRET), 'no byte of it came to the other pod')
  scene.letWatchesGo()
  const served = async (): Promise<boolean> => (await scene.callVictim()).status === 200
  await eventually(served, { withinMs: 30_000, because: 'with the news, its next incarnation is called' })
  assert.ok(!scene.seenByOther().includes(SECRET))
})

onCluster('without the proof the same call does cross: it is the proof that holds', async (t) => {
  const scene = await staged(t, 'none')
  assert.equal((await scene.callVictim()).status, 200)
  assert.ok(scene.seenByOther().includes(SECRET))
  scene.letWatchesGo()
})

interface Scene {
  /** Through the gateway that hears of nothing. */
  callVictim(): Promise<RawAnswer>
  /** Every byte that the other session's agent was sent. */
  seenByOther(): string
  letWatchesGo(): void
}

/** A session that ended, its address given to another session's pod, and a gateway that was told of neither. */
async function staged(t: TestContext, proof: 'meter' | 'none'): Promise<Scene> {
  const installation = await HelmInstallation.lend(t)
  const record = join(sharedFolder(t), 'bytes')
  const victims = await installation.apply(runtimeManifest('victims'))
  const others = await installation.apply(runtimeManifest('others', { environment: { RECORD_FILE: record } }))
  const { gateway: unaware, hold, release } = await startUnaware(t, installation, proof)
  const [victim, other] = [newSessionId(), newSessionId()]
  const callVictim = (): Promise<RawAnswer> => unaware.invoke(victims, victim, { do: 'boot', note: SECRET })
  const known = async (): Promise<boolean> => (await callVictim()).status === 200
  await eventually(known, { withinMs: 30_000, because: 'the gateway knows the session' })
  const address = await installation.addressOf(victim)

  hold()
  assert.equal((await installation.gateway.stop(victims, victim)).status, 200)
  const addresses = join(installation.nodeDirectory, 'addresses', 'pods')
  await eventually(() => !existsSync(join(addresses, address)), { withinMs: 30_000, because: 'its address is free' })
  await eventually(async () => (await installation.session(victim))?.status?.phase === 'Terminated', {
    withinMs: 30_000,
    because: 'it has ended',
  })
  giveNext(addresses, address)
  await installation.gateway.ask(others, other, { do: 'boot' })
  assert.equal(await installation.addressOf(other), address, 'the address is used again')
  return { callVictim, seenByOther: () => readFileSync(record, 'utf8'), letWatchesGo: release }
}

/** The node's address plugin goes on from the last one that it gave. */
function giveNext(addresses: string, address: string): void {
  const parts = address.split('.').map(Number)
  writeFileSync(join(addresses, 'last_reserved_ip.0'), [...parts.slice(0, 3), parts[3]! - 1].join('.'))
}

/** One more gateway, in this process, whose watches can be held back. */
async function startUnaware(
  t: TestContext,
  installation: HelmInstallation,
  proof: 'meter' | 'none',
): Promise<{ gateway: RawGateway; hold: () => void; release: () => void }> {
  const secret = async (name: string, key: string): Promise<string> => {
    const { body } = await installation.api.call<{ data: Record<string, string> }>('GET', `${SYSTEM}/secrets/${name}`)
    return Buffer.from(body.data[key]!, 'base64').toString('utf8')
  }
  const service = await installation.api.call<{ spec: { clusterIP: string } }>('GET', `${SYSTEM}/services/carrel-redis`)
  const redis = new URL(await secret('carrel-redis', 'gateway-url'))
  redis.hostname = service.body.spec.clusterIP
  const base = { clock: systemClock, random: systemRandom, log: quiet }
  const activity = await openRedisActivity({ redis: redis.href, redisPrefix: 'carrel' }, base)
  const transport = httpTransport(loadCluster({ kubeconfig: installation.kubeconfigOf('gateway') }))
  const watches = holdable(transport)
  const nobody: StartOptions['authorizers'] = { authorize: async () => ({ unavailable: true, code: 'None' }) }
  const running = await startGateway(
    { ...base, kubernetes: watches.transport, activity },
    {
      accountId: '000000000000',
      region: 'us-east-1',
      host: '127.0.0.1',
      port: 0,
      hosts: undefined,
      spoolDirectory: sharedFolder(t),
      spoolLimits: DEFAULT_SPOOL_LIMITS,
      authorizers: nobody,
      proof: proof === 'none' ? 'none' : { meterSecret: await secret('carrel-meter', 'secret') },
    },
  )
  await running.ready
  const gateway = new RawGateway(`http://127.0.0.1:${running.port}`, {
    accessKeyId: installation.env['AWS_ACCESS_KEY_ID']!,
    secretAccessKey: installation.env['AWS_SECRET_ACCESS_KEY']!,
    region: installation.env['AWS_REGION']!,
  })
  t.after(async () => {
    watches.release()
    gateway.close()
    await running.stop(0)
    activity.disconnect()
    await transport.close()
  })
  return { gateway, hold: watches.hold, release: watches.release }
}

/** What watches say is passed on once they are released. */
function holdable(inner: Transport): { transport: Transport; hold: () => void; release: () => void } {
  let open = Promise.withResolvers<void>()
  open.resolve()
  async function* watch(request: Parameters<Transport['watch']>[0]): ReturnType<Transport['watch']> {
    for await (const event of inner.watch(request)) {
      await open.promise
      yield event
    }
  }
  return {
    transport: { request: (request) => inner.request(request), watch } as Transport,
    hold: () => void (open = Promise.withResolvers<void>()),
    release: () => open.resolve(),
  }
}
