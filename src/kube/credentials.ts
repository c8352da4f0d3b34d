/** Adapter: where the cluster is and who we are, from a pod's files or a plain kubeconfig. Without client-node: the gateway uses it. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import type { ClusterAccess } from './http-transport.ts'

const POD_FILES = '/var/run/secrets/kubernetes.io/serviceaccount'
/** A projected token is rotated by kubelet; it is read again at most this often. */
const TOKEN_AGE_MS = 60_000

const kubeconfigSchema = z.object({
  'current-context': z.string(),
  contexts: z.array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) })),
  clusters: z.array(
    z.object({
      name: z.string(),
      cluster: z.object({
        server: z.url(),
        'certificate-authority': z.string().optional(),
        'certificate-authority-data': z.string().optional(),
      }),
    }),
  ),
  users: z.array(
    z.object({
      name: z.string(),
      user: z.looseObject({
        token: z.string().optional(),
        tokenFile: z.string().optional(),
        'client-certificate': z.string().optional(),
        'client-certificate-data': z.string().optional(),
        'client-key': z.string().optional(),
        'client-key-data': z.string().optional(),
      }),
    }),
  ),
})

/** Throws with what to do when neither is there, or the kubeconfig needs an exec plugin or another provider. */
export function loadCluster(options: { kubeconfig?: string | undefined }): ClusterAccess {
  return options.kubeconfig === undefined ? fromPod() : fromKubeconfig(options.kubeconfig)
}

function fromPod(): ClusterAccess {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env
  if (!host || !port) throw new Error('not in a cluster (KUBERNETES_SERVICE_HOST is not set): name a kubeconfig with --kubeconfig')
  const address = host.includes(':') ? `[${host}]` : host
  return { server: `https://${address}:${port}`, ca: readFileSync(`${POD_FILES}/ca.crt`, 'utf8'), token: tokenFrom(`${POD_FILES}/token`) }
}

function fromKubeconfig(path: string): ClusterAccess {
  const parsed = kubeconfigSchema.safeParse(parse(readFileSync(path, 'utf8')))
  if (!parsed.success) throw new Error(`${path} is not a usable kubeconfig: ${z.prettifyError(parsed.error)}`)
  const config = parsed.data
  const context = config.contexts.find(({ name }) => name === config['current-context'])?.context
  const cluster = config.clusters.find(({ name }) => name === context?.cluster)?.cluster
  const user = config.users.find(({ name }) => name === context?.user)?.user
  if (!cluster || !user) throw new Error(`${path}: the context ${config['current-context']} names a cluster or user that is not there`)
  if ('exec' in user || 'auth-provider' in user) {
    throw new Error(`${path}: its user needs a plugin, which this process does not run: use a token or a client certificate`)
  }
  const file = (name: string | undefined): string | undefined => (name === undefined ? undefined : resolve(dirname(path), name))
  const text = (data: string | undefined, name: string | undefined): string | undefined =>
    data !== undefined ? Buffer.from(data, 'base64').toString('utf8') : name !== undefined ? readFileSync(file(name)!, 'utf8') : undefined
  const token = user.tokenFile !== undefined ? tokenFrom(file(user.tokenFile)!) : user.token !== undefined ? () => user.token : undefined
  return defined({
    server: cluster.server,
    ca: text(cluster['certificate-authority-data'], cluster['certificate-authority']),
    cert: text(user['client-certificate-data'], user['client-certificate']),
    key: text(user['client-key-data'], user['client-key']),
    token,
  })
}

function defined(access: { server: string } & { [Key in keyof ClusterAccess]: ClusterAccess[Key] | undefined }): ClusterAccess {
  return Object.fromEntries(Object.entries(access).filter(([, value]) => value !== undefined)) as unknown as ClusterAccess
}

function tokenFrom(path: string): (fresh?: boolean) => string {
  let read = { token: '', atMs: -Infinity }
  return (fresh = false) => {
    if (fresh || performance.now() - read.atMs > TOKEN_AGE_MS) read = { token: readFileSync(path, 'utf8').trim(), atMs: performance.now() }
    return read.token
  }
}
