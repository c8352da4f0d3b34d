import type { AgentRuntime } from '../../crds/agent-runtime.ts'
import type { AskedAccess, ClusterUser } from '../../kube/reviews.ts'
import type { Owner } from '../../sessions/key.ts'
import { denied, notFound, validation, type GatewayError } from '../errors.ts'
import type { Headers } from '../http/headers-in.ts'
import type { RuntimeReference } from '../http/target.ts'
import type { Caller, RuntimeTarget } from '../session-port.ts'
import type { Identity } from './authenticate.ts'
import type { Rights } from './rights.ts'

/** Each a right of its own: subresources of agentruntimes, verb create (design 4; "every right is separate"). */
export type RuntimeRight = 'invocations' | 'stop' | 'invocationsforuser'

const USER_ID_HEADER = 'x-amzn-bedrock-agentcore-runtime-user-id'
const LONGEST_USER_ID = 1024
/** One answer for who may not and for what is not there: no oracle. */
const MAY_NOT =
  'you may not do this on this agent runtime, or there is none of this ARN. Who may is a Role of the cluster: verb create on agentruntimes/invocations and agentruntimes/stop (group carrel.dev)'

export interface Permitted {
  target: RuntimeTarget
  caller: Caller
  /** Some verdict is an older one, because nobody could be asked anew: it serves live sessions only (security rule 10). */
  stale: boolean
}

/**
 * Whether the caller may, for whom it acts, and only then whether there is what it calls. Throws 403 alike for a right that is
 * missing and a runtime that is, 404 for an unknown runtime or endpoint to who may invoke somewhere.
 */
export async function authorize(
  identity: Identity,
  asked: { reference: RuntimeReference; right: RuntimeRight; headers: Headers },
  found: { runtime: AgentRuntime | undefined; target: RuntimeTarget | undefined },
  port: { rights: Rights; namespaces: () => Iterable<string> },
): Promise<Permitted> {
  const { reference, right, headers } = asked
  const userId = userIdOf(headers)
  const { user } = identity
  if (user === undefined) {
    if (userId !== undefined) throw denied('the token says who the user is: the user-id header is for identities of the cluster')
    if (found.target === undefined) throw noEndpoint(reference)
    return { target: found.target, caller: { owner: identity.owner, mayReadLogs: async () => false }, stale: identity.stale }
  }
  const { runtime, target } = found
  if (runtime === undefined) throw (await mayInvokeSomewhere(user, port)) ? noRuntime(reference) : denied(MAY_NOT)
  const rights = new RightsOnRuntime(user, runtime, port.rights)
  if (!(await rights.has(right))) throw denied(MAY_NOT)
  if (userId !== undefined && !(await rights.has('invocationsforuser'))) {
    throw denied('to act for a user (the user-id header) takes a right of its own: verb create on agentruntimes/invocationsforuser')
  }
  if (target === undefined) throw noEndpoint(reference)
  const owner: Owner = userId === undefined ? identity.owner : { kind: 'user', issuer: user.name, subject: userId }
  return { target, caller: { owner, mayReadLogs: () => rights.toReadLogs() }, stale: identity.stale || rights.stale }
}

/** Whether the user may `asked`, for what is no call of an agent. Throws 403. */
export async function demand(identity: Identity, asked: AskedAccess, what: string, rights: Rights): Promise<void> {
  if (identity.user === undefined || !(await rights.may(identity.user, asked)).answer) throw denied(`you may not ${what}`)
}

class RightsOnRuntime {
  stale = false
  readonly #user: ClusterUser
  readonly #rights: Rights
  readonly #place: { namespace: string; name: string }

  constructor(user: ClusterUser, { metadata }: AgentRuntime, rights: Rights) {
    this.#user = user
    this.#rights = rights
    this.#place = { namespace: metadata.namespace!, name: metadata.name }
  }

  async has(right: RuntimeRight): Promise<boolean> {
    const { answer, stale } = await this.#rights.may(this.#user, { ...rightOn(right), ...this.#place })
    this.stale ||= stale
    return answer
  }

  async toReadLogs(): Promise<boolean> {
    const asked = { group: '', resource: 'pods', subresource: 'log', verb: 'get', namespace: this.#place.namespace }
    return (await this.#rights.may(this.#user, asked).catch(() => ({ answer: false }))).answer
  }
}

function rightOn(subresource: RuntimeRight): { group: string; resource: string; subresource: string; verb: string } {
  return { group: 'carrel.dev', resource: 'agentruntimes', subresource, verb: 'create' }
}

/** In the whole cluster, or in a namespace that has a runtime. */
async function mayInvokeSomewhere(
  user: ClusterUser,
  { rights, namespaces }: { rights: Rights; namespaces: () => Iterable<string> },
): Promise<boolean> {
  for (const namespace of ['', ...namespaces()]) {
    if ((await rights.may(user, { ...rightOn('invocations'), namespace })).answer) return true
  }
  return false
}

function userIdOf(headers: Headers): string | undefined {
  const userId = headers.one(USER_ID_HEADER)
  if (userId === undefined) return undefined
  if (userId.length >= 1 && userId.length <= LONGEST_USER_ID && /^[\x20-\x7e]+$/.test(userId)) return userId
  throw validation('runtimeUserId', `a user id has 1 to ${LONGEST_USER_ID} printable characters`)
}

function noRuntime({ runtimeId }: RuntimeReference): GatewayError {
  return notFound(`there is no agent runtime ${runtimeId}: kubectl get agentruntimes -A -o wide shows the ARNs`)
}

function noEndpoint({ runtimeId, endpoint }: RuntimeReference): GatewayError {
  return notFound(`the agent runtime ${runtimeId} has no endpoint ${endpoint}`)
}
