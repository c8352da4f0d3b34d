/**
 * `npm run control-plane`: etcd and a real kube-apiserver on loopback, with Carrel's kinds, until Ctrl-C. `npm start --
 * --kubeconfig FILE` runs Carrel on it.
 */
import { mkdirSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { z } from 'zod'
import { readSettings } from '../src/env/settings.ts'
import { ControlPlane } from '../test/control-plane/control-plane.ts'
import { KUBERNETES_VERSION, prepareControlPlane } from './rings/control-plane.ts'

const settings = readSettings(
  {
    name: 'npm run control-plane --',
    description: 'Runs etcd and a real kube-apiserver on this machine, built once from their Go modules.',
  },
  z.object({
    kubernetes: z
      .string()
      .regex(/^\d+\.\d+\.\d+$/, 'a version such as 1.35.4')
      .default(KUBERNETES_VERSION)
      .describe('Version of kube-apiserver.'),
    directory: z.string().min(1).default('.control-plane').describe('Folder for its state, logs and credentials; kept.'),
    port: z.coerce.number().int().min(0).max(65_535).default(6443).describe('Port of the API server on 127.0.0.1; 0 takes any free one.'),
  }),
)

const directory = resolve(settings.directory)
mkdirSync(directory, { recursive: true, mode: 0o700 })
const binaries = prepareControlPlane(settings.kubernetes)
console.log('  starting etcd, kube-apiserver, kube-controller-manager …')
const plane = await ControlPlane.start({ binaries, directory, ...(settings.port === 0 ? {} : { port: settings.port }) }).catch(
  (error: Error) => {
    console.error(`carrel: ${error.message}`)
    return process.exit(1)
  },
)
const kubeconfig = relative(process.cwd(), plane.kubeconfig)
console.log(`
  ready  Kubernetes ${settings.kubernetes}  ${plane.server}
         audit log          ${relative(process.cwd(), directory)}/audit.log

  Try next, in another shell:

    npm start -- --kubeconfig ${kubeconfig}
    kubectl --kubeconfig ${kubeconfig} get art,ags,pods

  Ctrl-C stops it; what it holds is kept for the next time.
`)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => void plane.stop().then(() => process.exit(0)))
}
