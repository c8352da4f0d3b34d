/**
 * `npm run cluster`: a whole Kubernetes of one node on this machine with Carrel on it, installed by its chart, until Ctrl-C.
 * `--bare` leaves Carrel out. Everything is built once and nothing is left; root on Linux is needed.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { readSettings } from '../src/env/settings.ts'
import { Cluster } from '../test/cluster/cluster.ts'
import { imageArchive, referenceOf } from '../test/cluster/images/archives.ts'
import { openBed } from '../test/kit/bed.ts'
import { KUBERNETES_VERSION } from './rings/control-plane.ts'
import { prepareRings } from './rings/prepare.ts'

const BARE = ['CARREL_TEST_CONTROL_PLANE', 'CARREL_TEST_NODE', 'CARREL_TEST_IMAGES', 'CARREL_TEST_KUBECTL']
const WITH_CARREL = [...BARE, 'CARREL_TEST_HELM']

/** As long as by the chart's default: people look at how a session ended. */
const SESSION_TTL_SECONDS = 600
/** As the example names it. */
const EXAMPLE_IMAGE = 'docker.io/library/carrel-example-hello:0.1.0'

const settings = readSettings(
  { name: 'npm run cluster --', description: 'Runs Kubernetes with one real node on this machine, and Carrel on it by its chart.' },
  z.object({
    kubernetes: z
      .string()
      .regex(/^\d+\.\d+\.\d+$/, 'a version such as 1.35.4')
      .default(KUBERNETES_VERSION)
      .describe('Version of Kubernetes.'),
    bare: z.boolean().default(false).describe('Kubernetes alone, without Carrel.'),
  }),
)

const needed = settings.bare ? BARE : WITH_CARREL
const rings = prepareRings(settings.kubernetes, needed)
const missing = needed.filter((name) => rings[name] === undefined)
if (missing.length > 0) process.exit(1) // it is said above why
Object.assign(process.env, rings)
try {
  await (settings.bare ? runBare() : runCarrel())
} catch (error) {
  console.error(`carrel: ${(error as Error).message}`)
  process.exit(1)
}

async function runBare(): Promise<void> {
  console.log('  starting Kubernetes …')
  const cluster = await Cluster.start()
  stopOnSignal(cluster)
  say(cluster, [`export KUBECONFIG=${cluster.kubeconfig}`, `${rings['CARREL_TEST_KUBECTL']} get nodes,pods --all-namespaces`])
}

async function runCarrel(): Promise<void> {
  console.log('  starting Kubernetes and installing Carrel …')
  const { bed, cluster } = await openBed({ sessionTtlSeconds: SESSION_TTL_SECONDS })
  stopOnSignal(cluster)
  await cluster.importImage(imageArchive('hello'))
  await cluster.nameImage(referenceOf('hello'), EXAMPLE_IMAGE)
  const kubectl = rings['CARREL_TEST_KUBECTL']!
  say(cluster, [
    `. ${join(bed.home, 'env')}`,
    `${kubectl} --namespace carrel-system get pods`,
    `${kubectl} apply -f examples/hello/runtime.yaml`,
    `npm run --silent carrel -- invoke hello --payload '{"prompt": "Hello"}'`,
    `${kubectl} get art,ags,pods`,
  ])
}

function say(cluster: Cluster, commands: string[]): void {
  console.log(`
  ready  Kubernetes ${settings.kubernetes}  ${cluster.server}
         audit log   ${cluster.auditFile}
         logs        ${join(cluster.directory, 'logs')}

  Try next, in another shell:

${commands.map((command) => `    ${command}`).join('\n')}

  Ctrl-C stops it and leaves nothing.
`)
}

function stopOnSignal(cluster: Cluster): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void cluster.stop().then(() => process.exit(0)))
}
