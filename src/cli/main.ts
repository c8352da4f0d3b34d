/** Adapter: the process `carrel`. */
import { readFileSync } from 'node:fs'
import { systemClock, systemRandom } from '../env/system.ts'
import { openCluster } from './cluster.ts'
import { fetchJson } from './gateway-json.ts'
import { post, standardInput } from './invoke/post.ts'
import { runCli } from './program.ts'
import { systemScreen } from './screen.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
const screen = systemScreen()

/** The first signal asks a command to end, the second ends it: something hangs. */
function enough(): AbortSignal {
  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (!ending.signal.aborted) return ending.abort()
      screen.restore()
      process.exit(1)
    })
  }
  return ending.signal
}

process.exitCode = await runCli(process.argv.slice(2), version, {
  clock: systemClock,
  random: systemRandom,
  screen,
  cluster: ({ kubeconfig }) => openCluster(kubeconfig, process.env),
  fetchJson,
  post,
  input: standardInput,
  variables: process.env,
  enough,
})
