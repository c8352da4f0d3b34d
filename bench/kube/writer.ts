/** Adapter: the process that makes the objects of a bench and changes them, so that what is measured does nothing else. */
import { AGENT_RUNTIMES, type AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS } from '../../src/crds/agent-session.ts'
import { createSession } from '../../src/gateway/sessions/open.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { loadCluster } from '../../src/kube/credentials.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { PODS } from '../../src/kube/resource.ts'
import { serveBench, tellBench, type Message } from '../runner/child.ts'
import { NAMESPACE, RUNTIME, podOf, revisionOf, runningPod, runningSession, wantedAt } from './objects.ts'

/** Makes `objects` sessions and as many pods. */
export type Seed = { kind: 'seed'; objects: number }
/** Changes sessions and pods in turn, `changes` in all. */
export type Change = { kind: 'change'; changes: number }
/** The answer to both. */
export type Written = { kind: 'written'; seconds: number; bytesOfSession: number; bytesOfPod: number }

/** As many as the transport has connections. */
const AT_ONCE = 64

const [kubeconfig] = process.argv.slice(2)
const client = new KubeClient(httpTransport(loadCluster({ kubeconfig })))
const made: { session: string; pod: string }[] = []
const sizes = { bytesOfSession: 0, bytesOfPod: 0 }
let changed = 0

serveBench(async (message: Message) => {
  const startedAtMs = performance.now()
  if (message.kind === 'seed') await seed((message as Seed).objects)
  else await change((message as Change).changes)
  tellBench<Written>({ kind: 'written', seconds: (performance.now() - startedAtMs) / 1000, ...sizes })
})

async function seed(objects: number): Promise<void> {
  const runtime = await client.create(AGENT_RUNTIMES, RUNTIME)
  await sideBySide(objects, async (index) => {
    const { session, pod } = await open(index, runtime)
    made[index] = { session: session.metadata.name, pod: pod.metadata.name }
    if (index === 0) Object.assign(sizes, { bytesOfSession: JSON.stringify(session).length, bytesOfPod: JSON.stringify(pod).length })
  })
}

async function open(index: number, runtime: AgentRuntime) {
  const record = await createSession(client, wantedAt(index, runtime))
  const created = await client.create(PODS, podOf(record, revisionOf(runtime)))
  const session = await client.replace(AGENT_SESSIONS, { ...record, status: runningSession(created) }, 'status')
  const status = runningPod(index) as object
  const pod = await client.mergePatch(PODS, NAMESPACE, created.metadata.name, { status }, { subresource: 'status' })
  return { session, pod }
}

/** Every one is a change: the times differ. */
async function change(changes: number): Promise<void> {
  await sideBySide(changes, async (index) => {
    const { session, pod } = made[Math.floor(index / 2) % made.length]!
    changed += 1
    if (index % 2 === 0) {
      const expiresAt = new Date(Date.UTC(2026, 1, 1) + changed * 1000).toISOString()
      await client.mergePatch(AGENT_SESSIONS, NAMESPACE, session, { status: { expiresAt } }, { subresource: 'status' })
    } else {
      await client.mergePatch(PODS, NAMESPACE, pod, { status: { message: `change ${changed}` } }, { subresource: 'status' })
    }
  })
}

async function sideBySide(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}
