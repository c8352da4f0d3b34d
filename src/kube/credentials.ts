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
      cluster: z.looseObject({
        server: z.url({ protocol: /^https?$/ }),
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

/**
 * What a kubeconfig may ask for and this does not do. To leave one out silently would be to act as somebody else, or to
 * trust or reach another server, than the file says.
 */
const UNSUPPORTED: Record<string, string> = {
  exec: 'use a token, a token file or a client certificate',
  'auth-provider': 'use a token, a token file or a client certificate',
  username: 'use a token, a token file or a client certificate',
  as: 'use the credentials of that user itself',
  'as-uid': 'use the credentials of that user itself',
  'as-groups': 'use the credentials of that user itself',
  'as-user-extra': 'use the credentials of that user itself',
  'insecure-skip-tls-verify': "name the cluster's certificate-authority",
  'tls-server-name': "name a server address that the cluster's certificate covers",
  'proxy-url': 'name a server address that is reached directly',
}

/** Throws with what to do when neither is there, or the kubeconfig asks for what this process does not do. */
export function loadCluster(options: { kubeconfig?: string | undefined }): ClusterAccess {
  return options.kubeconfig === undefined ? fromPod() : fromKubeconfig(options.kubeconfig)
}

function fromPod(): ClusterAccess {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env
  if (!host || !port) throw new Error('not in a cluster (KUBERNETES_SERVICE_HOST is not set): name a kubeconfig with --kubeconfig')
  const address = host.includes(':') ? `[${host}]` : host
  return { server: `https://${address}:${port}`, ca: textAt(`${POD_FILES}/ca.crt`), token: tokenFrom(`${POD_FILES}/token`) }
}

function fromKubeconfig(path: string): ClusterAccess {
  const { cluster, user } = contextOf(path)
  refuseUnsupported(path, { ...cluster, ...user })
  const file = (name: string): string => resolve(dirname(path), name)
  const text = (data: string | undefined, name: string | undefined): string | undefined =>
    data !== undefined ? Buffer.from(data, 'base64').toString('utf8') : name !== undefined ? textAt(file(name)) : undefined
  const cert = text(user['client-certificate-data'], user['client-certificate'])
  const key = text(user['client-key-data'], user['client-key'])
  const token = user.tokenFile !== undefined ? tokenFrom(file(user.tokenFile)) : user.token !== undefined ? () => user.token : undefined
  if ((cert === undefined) !== (key === undefined)) {
    throw new Error(
      `${path}: client-certificate and client-key go together, and ${key === undefined ? 'client-key' : 'client-certificate'} is missing`,
    )
  }
  if (!isPrivate(cluster.server) && (token || key)) {
    throw new Error(`${path}: ${cluster.server} would get credentials in clear text: name it with https://`)
  }
  return defined({
    server: cluster.server,
    ca: text(cluster['certificate-authority-data'], cluster['certificate-authority']),
    cert,
    key,
    token,
  })
}

/** The cluster and the user that the current context names. */
function contextOf(path: string) {
  const parsed = kubeconfigSchema.safeParse(yamlAt(path))
  if (!parsed.success) throw new Error(`${path} is not a usable kubeconfig: ${z.prettifyError(parsed.error)}`)
  const config = parsed.data
  const context = config.contexts.find(({ name }) => name === config['current-context'])?.context
  const cluster = config.clusters.find(({ name }) => name === context?.cluster)?.cluster
  const user = config.users.find(({ name }) => name === context?.user)?.user
  if (!cluster || !user) throw new Error(`${path}: the context ${config['current-context']} names a cluster or user that is not there`)
  return { cluster, user }
}

function refuseUnsupported(path: string, asked: Record<string, unknown>): void {
  for (const [field, instead] of Object.entries(UNSUPPORTED)) {
    if (asked[field]) throw new Error(`${path}: ${field} is not supported here: ${instead}`)
  }
}

function isPrivate(server: string): boolean {
  const { protocol, hostname } = new URL(server)
  return protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
}

function defined(access: { server: string } & { [Key in keyof ClusterAccess]: ClusterAccess[Key] | undefined }): ClusterAccess {
  return Object.fromEntries(Object.entries(access).filter(([, value]) => value !== undefined)) as unknown as ClusterAccess
}

function yamlAt(path: string): unknown {
  const text = textAt(path)
  try {
    return parse(text)
  } catch (error) {
    throw new Error(`${path} is not a usable kubeconfig: ${(error as Error).message}`, { cause: error })
  }
}

function textAt(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}): name another file, or let this user read it`, {
      cause: error,
    })
  }
}

/** A file that cannot be read for a moment, as while it is replaced, leaves the token that was read last in force. */
function tokenFrom(path: string): (fresh?: boolean) => string {
  let read: { token: string; atMs: number } | undefined
  return (fresh = false) => {
    if (read && !fresh && performance.now() - read.atMs <= TOKEN_AGE_MS) return read.token
    try {
      read = { token: textAt(path).trim(), atMs: performance.now() }
    } catch (error) {
      if (read === undefined) throw error
    }
    return read.token
  }
}
