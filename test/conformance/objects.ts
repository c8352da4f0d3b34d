/** Objects to play with, as small as they may be. */
import type { Loose } from './wire.ts'

export function pod(name: string, change: (pod: Loose) => void = () => {}): Loose {
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [{ name: 'agent', image: 'agent:1' }], automountServiceAccountToken: false },
  }
  change(object)
  return object
}

export function configMap(name: string, data: Record<string, string> = { a: '1' }, metadata: object = {}): Loose {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data }
}

export function runtime(name: string, change: (runtime: Loose) => void = () => {}): Loose {
  const object = {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentRuntime',
    metadata: { name },
    spec: { artifact: { container: { image: 'probe:1' }, code: { directory: 'agents/probe', command: ['node', 'agent.ts'] } } },
  }
  change(object)
  return object
}

export function session(name: string, change: (session: Loose) => void = () => {}): Loose {
  const object = {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentSession',
    metadata: { name },
    spec: {
      runtimeRef: { name: 'probe', uid: 'uid-1' },
      endpoint: 'DEFAULT',
      sessionId: 'session-0123456789-0123456789-0123',
      owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: 'someone' },
      incarnation: 1,
      stopThrough: 0,
    },
  }
  change(object)
  return object
}
