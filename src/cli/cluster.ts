/** Adapter: which cluster a command speaks to, and as whom. */
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { loadCluster } from '../kube/credentials.ts'
import { httpTransport } from '../kube/http-transport.ts'
import type { Cluster } from './env.ts'
import { CommandFailure } from './failure.ts'
import { readPodLog } from './logs/pod-log.ts'

/** A person waits. */
const REQUEST_TIMEOUT_MS = 10_000

const withNamespace = z.object({
  'current-context': z.string(),
  contexts: z.array(z.object({ name: z.string(), context: z.object({ namespace: z.string().optional() }) })),
})

/** By --kubeconfig, KUBECONFIG, ~/.kube/config, or the files of the pod that it runs in, in this order. */
export function openCluster(kubeconfig: string | undefined, variables: Readonly<Record<string, string | undefined>>): Cluster {
  const path = kubeconfig ?? kubeconfigOf(variables)
  try {
    const access = loadCluster({ kubeconfig: path })
    const transport = httpTransport(access)
    return {
      kubernetes: {
        request: (request) => transport.request({ timeoutMs: REQUEST_TIMEOUT_MS, ...request }),
        watch: (request) => transport.watch(request),
      },
      log: (request) => readPodLog(access, request),
      namespace: path === undefined ? 'default' : namespaceOf(path),
      token: access.token?.(),
    }
  } catch (error) {
    throw new CommandFailure((error as Error).message, { cause: error })
  }
}

function kubeconfigOf(variables: Readonly<Record<string, string | undefined>>): string | undefined {
  const named = variables['KUBECONFIG']?.split(delimiter).filter((path) => path !== '') ?? []
  if (named.length > 1) throw new CommandFailure('KUBECONFIG names several files, which are not merged here: name one with --kubeconfig')
  if (named[0] !== undefined) return named[0]
  const own = join(homedir(), '.kube', 'config')
  if (existsSync(own)) return own
  if (variables['KUBERNETES_SERVICE_HOST']) return undefined
  throw new CommandFailure(
    'no cluster is named: after `npm start`, `source .carrel/env`; otherwise set KUBECONFIG, or name a file with --kubeconfig',
  )
}

function namespaceOf(path: string): string {
  const parsed = withNamespace.safeParse(parse(readFileSync(path, 'utf8')))
  const { contexts = [], 'current-context': current } = parsed.data ?? {}
  return contexts.find(({ name }) => name === current)?.context.namespace ?? 'default'
}
