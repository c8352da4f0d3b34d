/** The pod of a session, as the operator would create it. */
import type { AgentRuntimeSpec } from '../../src/crds/agent-runtime.ts'
import type { AgentSession } from '../../src/crds/agent-session.ts'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { admit } from '../../src/crds/admit.ts'
import type { Kind } from '../../src/crds/define-kind.ts'
import type { Pod } from '../../src/kube/objects.ts'
import { versionedPart } from '../../src/operator/runtime/version.ts'
import { podFor } from '../../src/operator/session/pod-for.ts'
import { operatorSettings, type OperatorSettings } from '../../src/operator/settings.ts'

export const SECRET = 'a-secret-of-at-least-thirty-two-characters'
export const SESSION_UID = '5b1e2a3c-0000-4000-8000-000000000001'
export const METERED = { meterImage: 'carrel/carrel:0.1.0', meterSecret: SECRET, region: 'eu-west-1' }

export type Container = NonNullable<Pod['spec']>['containers'][number]

export function session(namespace = 'team'): AgentSession {
  return {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentSession',
    metadata: { name: 'hello-abcdefghijklmnopqrst', namespace, uid: SESSION_UID },
    spec: {
      runtimeRef: { name: 'hello', uid: 'uid-of-hello' },
      endpoint: 'DEFAULT',
      sessionId: 'session-0123456789-0123456789-0123',
      owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: 'someone' },
      incarnation: 1,
      stopThrough: 0,
    },
  }
}

/** As the API server stores it: with its defaults. Throws what it would refuse. */
export function specOf(spec: object): AgentRuntimeSpec {
  const object = { apiVersion: 'carrel.dev/v1alpha1', kind: 'AgentRuntime', metadata: { name: 'hello', namespace: 'team' }, spec }
  const admitted = admit(AGENT_RUNTIMES as Kind, { object, fieldValidation: 'Strict' })
  if ('refused' in admitted) throw new Error(JSON.stringify(admitted.refused))
  return (admitted.object as unknown as { spec: AgentRuntimeSpec }).spec
}

export const settingsOf = (given: object = METERED): OperatorSettings => operatorSettings.parse(given)

export function built(spec: object = {}, settings: object = METERED, namespace = 'team'): Pod {
  const whole = specOf({ artifact: { container: { image: 'hello:1' } }, ...spec })
  return podFor(session(namespace), 1, { revision: 7, data: versionedPart(whole) }, settingsOf(settings))
}

export function containerOf({ spec }: Pod, name: string): Container {
  const found = spec?.containers.find((each) => each.name === name)
  if (found === undefined) throw new Error(`no container ${name}`)
  return found
}
