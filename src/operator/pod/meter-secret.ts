import { AGENT_SESSIONS, SESSION_UID_LABEL, type AgentSession } from '../../crds/agent-session.ts'
import { METER_SECRET_PREFIX } from '../../crds/environment.ts'
import type { KubeClient } from '../../kube/client.ts'
import { isAlreadyExists } from '../../kube/errors.ts'
import type { Secret } from '../../kube/objects.ts'
import { SECRETS, apiVersionOf } from '../../kube/resource.ts'
import { sessionMeterKey } from '../../metering/access.ts'
import { meterBeside, type OperatorSettings } from '../settings.ts'

/** Of the Secret's data. */
export const METER_KEY = 'key'

export function meterSecretName(sessionUID: string): string {
  return `${METER_SECRET_PREFIX}${sessionUID}`
}

/**
 * Gives the session the key that its meters hold, before the first pod that refers to it. A Secret found under its name is
 * let be, unread: the operator may create Secrets, not get them. Another's key there makes a meter that proves nothing, so
 * that session gets no call; no other session is touched.
 *
 * @throws {ApiError} when the API server refuses it
 */
export async function provideMeterKey(session: AgentSession, client: KubeClient, settings: OperatorSettings): Promise<void> {
  const meter = meterBeside(settings)
  if (meter === undefined) return
  try {
    await client.create(SECRETS, meterSecretFor(session, meter.secret))
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
  }
}

/** Goes with its session. */
export function meterSecretFor({ metadata: { name, namespace, uid } }: AgentSession, secret: string): Secret {
  const owner = { apiVersion: apiVersionOf(AGENT_SESSIONS), kind: AGENT_SESSIONS.kind, name, uid: uid!, controller: true }
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: meterSecretName(uid!), namespace: namespace!, labels: { [SESSION_UID_LABEL]: uid! }, ownerReferences: [owner] },
    type: 'carrel.dev/meter-key',
    immutable: true,
    data: { [METER_KEY]: Buffer.from(sessionMeterKey(secret, uid!)).toString('base64') },
  }
}
