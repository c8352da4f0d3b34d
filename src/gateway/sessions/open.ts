import { AGENT_RUNTIMES } from '../../crds/agent-runtime.ts'
import { AGENT_SESSIONS, RUNTIME_LABEL, SESSION_FINALIZER, type AgentSession } from '../../crds/agent-session.ts'
import type { KubeClient } from '../../kube/client.ts'
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/errors.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import { sameIdentity, sessionName, type Owner, type SessionIdentity } from '../../sessions/key.ts'
import { mayReopen } from '../../sessions/state.ts'
import type { Caller, RuntimeTarget } from '../session-port.ts'

/** The session of one call: who, on what, under which name. */
export interface Wanted {
  key: string
  namespace: string
  name: string
  identity: SessionIdentity
}

export function wantedSession(target: RuntimeTarget, caller: Caller, sessionId: string): Wanted {
  const { name: runtimeName, namespace, uid } = target.runtime.metadata
  const identity = { runtimeName, runtimeUID: uid!, endpoint: target.endpoint, owner: ownerOf(target, caller), sessionId }
  const name = sessionName(identity)
  return { key: `${namespace}/${name}`, namespace: namespace!, name, identity }
}

/** Whose the session is: the caller's own, or, where the runtime says so, everybody's who may call it (contract 4.1). */
function ownerOf({ runtime, runtimeId }: RuntimeTarget, { owner }: Caller): Owner {
  return runtime.spec.sessionOwnership === 'Runtime' ? { kind: 'runtime', issuer: 'carrel', subject: runtimeId } : owner
}

/** Creates the record; when another call or replica was first, theirs is verified and taken. */
export async function createSession(client: KubeClient, wanted: Wanted): Promise<AgentSession> {
  try {
    return await client.create(AGENT_SESSIONS, recordOf(wanted))
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    return verified(await client.get(AGENT_SESSIONS, wanted.namespace, wanted.name), wanted)
  }
}

/** Raises the incarnation by one, if the session is still over; otherwise answers what it is by now. */
export async function reopenSession(client: KubeClient, ended: AgentSession): Promise<AgentSession | undefined> {
  const { namespace, name, resourceVersion } = ended.metadata
  try {
    return await client.mergePatch(
      AGENT_SESSIONS,
      namespace!,
      name,
      { spec: { incarnation: ended.spec.incarnation + 1 } },
      { resourceVersion: resourceVersion! },
    )
  } catch (error) {
    if (isNotFound(error)) return undefined
    if (!isConflict(error)) throw error
    const current = await client.find(AGENT_SESSIONS, namespace!, name)
    return current && mayReopen(current) && current.metadata.uid === ended.metadata.uid ? reopenSession(client, current) : current
  }
}

/** How many client tokens of stops a session keeps (design 2). */
const KEPT_STOP_TOKENS = 4

/** Stores "end this incarnation and all before". A repeated stop, by its client token, is the same stop. */
export async function stopSession(
  client: KubeClient,
  wanted: Wanted,
  clientToken: string | undefined,
): Promise<AgentSession | 'unknown' | 'already'> {
  const session = await client.find(AGENT_SESSIONS, wanted.namespace, wanted.name)
  if (session === undefined || session.metadata.deletionTimestamp) return 'unknown'
  const { incarnation, stopThrough, stopTokens = [] } = verified(session, wanted).spec
  if (clientToken !== undefined && stopTokens.includes(clientToken)) return 'already'
  if (stopThrough >= incarnation || mayReopen(session)) return 'unknown'
  const tokens = clientToken === undefined ? stopTokens : [...stopTokens, clientToken].slice(-KEPT_STOP_TOKENS)
  try {
    return await client.mergePatch(
      AGENT_SESSIONS,
      wanted.namespace,
      wanted.name,
      { spec: { stopThrough: incarnation, stopTokens: tokens } },
      { resourceVersion: session.metadata.resourceVersion! },
    )
  } catch (error) {
    if (isConflict(error)) return stopSession(client, wanted, clientToken)
    if (isNotFound(error)) return 'unknown'
    throw error
  }
}

/** Design rule 3: AlreadyExists means GET and verify the identity fields. */
function verified(session: AgentSession, wanted: Wanted): AgentSession {
  const { runtimeRef, endpoint, owner, sessionId } = session.spec
  const found = { runtimeName: runtimeRef.name, runtimeUID: runtimeRef.uid, endpoint, owner, sessionId }
  if (sameIdentity(found, wanted.identity)) return session
  throw new Error(`AgentSession ${wanted.key} belongs to another identity; it was not made by a gateway`)
}

function recordOf({ namespace, name, identity }: Wanted): AgentSession {
  const { runtimeName, runtimeUID, endpoint, owner, sessionId } = identity
  return {
    apiVersion: apiVersionOf(AGENT_SESSIONS),
    kind: AGENT_SESSIONS.kind,
    metadata: {
      name,
      namespace,
      labels: { [RUNTIME_LABEL]: runtimeName },
      finalizers: [SESSION_FINALIZER],
      ownerReferences: [
        {
          apiVersion: apiVersionOf(AGENT_RUNTIMES),
          kind: AGENT_RUNTIMES.kind,
          name: runtimeName,
          uid: runtimeUID,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: { runtimeRef: { name: runtimeName, uid: runtimeUID }, endpoint, sessionId, owner: { ...owner }, incarnation: 1, stopThrough: 0 },
  }
}
