import { ApiError, TransportError } from '../kube/errors.ts'

/** A command could not do its work (exit code 1), or was asked for what it does not take (2). The message says what to do. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  readonly exitCode: 1 | 2

  constructor(message: string, options: { exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.exitCode = options.exitCode ?? 1
  }
}

/** Bad usage: nothing was asked of anybody. */
export function misuse(message: string): CommandFailure {
  return new CommandFailure(message, { exitCode: 2 })
}

/** What the user needs to be allowed to do, for a refusal that says so. */
export interface Needed {
  verbs: string
  resource: string
  /** Undefined: in all of them. */
  namespace: string | undefined
}

/** Any failure of the API server as one that says what to do; anything else is thrown on as it is. */
export function explained(error: unknown, needed: Needed): unknown {
  if (error instanceof TransportError) {
    return new CommandFailure(`the Kubernetes API does not answer (${error.message}): is it running, and is it the right kubeconfig?`, {
      cause: error,
    })
  }
  if (!(error instanceof ApiError)) return error
  return new CommandFailure(adviceOn(error, needed), { cause: error })
}

function adviceOn(error: ApiError, { verbs, resource, namespace }: Needed): string {
  if (error.status === 401) return 'the Kubernetes API does not know you (401): log in again, or name another kubeconfig'
  if (error.status === 403) {
    const [kind, where] = namespace === undefined ? ['clusterrole', ''] : ['role', ` -n ${namespace}`]
    const first = `${error.message}.\nAn administrator can allow it: kubectl create ${kind} carrel-cli${where} --verb=${verbs} --resource=${resource}`
    return `${first}\n                               kubectl create ${kind}binding carrel-cli${where} --${kind}=carrel-cli --user=YOU`
  }
  if (error.status === 404 && resource.startsWith('agent')) {
    return 'this cluster does not know Carrel: its CustomResourceDefinitions (deploy/crds) are not there. Is it the right kubeconfig?'
  }
  if (error.status === 404) return `there is no namespace ${namespace} here: is Carrel installed in this cluster?`
  return error.message
}
