import { sleep } from '../../src/env/clock.ts'
import type { Random } from '../../src/env/random.ts'
import { AGENT_SESSIONS, INCARNATION_LABEL, SESSION_UID_LABEL, type AgentSession } from '../../src/crds/agent-session.ts'
import type { KubeClient } from '../../src/kube/client.ts'
import { ApiError } from '../../src/kube/errors.ts'
import type { KubeObject, Pod } from '../../src/kube/objects.ts'
import { PODS, type Resource } from '../../src/kube/resource.ts'
import { ENV } from './quiet-env.ts'

/** Few names, so that deleting and making anew under the same name is common. */
const NAMES = Array.from({ length: 25 }, (_, index) => `probe-${index}`)
const PAUSE_MS = 20

/** Makes, changes and deletes sessions and their pods, one after the other, until the signal aborts. Answers how many writes took. */
export async function keepChanging(client: KubeClient, namespace: string, random: Random, signal: AbortSignal): Promise<number> {
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random.fraction() * items.length)]!
  let writes = 0
  while (!signal.aborted) {
    const name = pick(NAMES)
    const step = pick([change, change, change, remove])
    try {
      await (random.fraction() < 0.5 ? step(client, AGENT_SESSIONS, session(namespace, name)) : step(client, PODS, pod(namespace, name)))
      writes += 1
    } catch (error) {
      // Two writers met: the other one won.
      if (!(error instanceof ApiError && [404, 409].includes(error.status))) throw error
    }
    await sleep(ENV.clock, random.fraction() * PAUSE_MS, signal)
  }
  return writes
}

/** Makes it, or gives it a new annotation. */
async function change<T extends KubeObject>(client: KubeClient, resource: Resource<T>, object: T): Promise<void> {
  const { namespace, name } = object.metadata
  const found = await client.find(resource, namespace, name)
  if (found === undefined) return void (await client.create(resource, object))
  const { uid, resourceVersion } = found.metadata
  const annotations = { 'carrel.dev/change': resourceVersion! }
  await client.mergePatch(resource, namespace, name, { metadata: { annotations } }, { uid: uid! })
}

async function remove<T extends KubeObject>(client: KubeClient, resource: Resource<T>, object: T): Promise<void> {
  const { namespace, name } = object.metadata
  const found = await client.find(resource, namespace, name)
  if (found) await client.delete(resource, namespace, name, { uid: found.metadata.uid!, gracePeriodSeconds: 0 })
}

function session(namespace: string, name: string): AgentSession {
  return {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentSession',
    metadata: { namespace, name },
    spec: {
      runtimeRef: { name: 'probe', uid: 'uid-1' },
      endpoint: 'DEFAULT',
      sessionId: `session-${name}`.padEnd(33, '0'),
      owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: 'ann' },
      incarnation: 1,
      stopThrough: 0,
    },
  }
}

function pod(namespace: string, name: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels: { [SESSION_UID_LABEL]: name, [INCARNATION_LABEL]: '1' } },
    spec: { automountServiceAccountToken: false, containers: [{ name: 'agent', image: 'probe' }] },
  }
}
