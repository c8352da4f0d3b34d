/** Scheduler, kubelet and taint manager by hand, on the virtual clock: what they write, a test writes. */
import type { TestContext } from 'node:test'
import { AGENT_SESSIONS, type AgentSession } from '../../src/crds/agent-session.ts'
import type { Entered, RuntimeTarget } from '../../src/gateway/session-port.ts'
import { EVENTS, type KubeEvent } from '../../src/kube/events.ts'
import type { KubeObject, Pod } from '../../src/kube/objects.ts'
import { PODS, type Resource } from '../../src/kube/resource.ts'
import { CALLER, SESSION_ID, VirtualInstallation } from '../search/virtual-installation.ts'
import { containerStatus, type ContainerStatus } from './pods.ts'

const NODES: Resource = { group: '', version: 'v1', kind: 'Node', plural: 'nodes', namespaced: false }
const never = new AbortController().signal

export async function startHandKubelet(t: TestContext, seed: number): Promise<HandKubelet> {
  const installation = new VirtualInstallation(seed, { isByHand: true })
  t.after(() => installation.stop())
  await installation.start()
  const target = await installation.createRuntime({ idleTimeoutSeconds: 600, maxLifetimeSeconds: 3600 })
  const kubelet = new HandKubelet(installation, target)
  await kubelet.node('True')
  return kubelet
}

/** A call that waits for its session; `entered` once it has an answer. */
export interface Call {
  entered?: Entered
  /** Virtual, of its answer. */
  atMs?: number
}

export class HandKubelet {
  readonly installation: VirtualInstallation
  readonly target: RuntimeTarget
  /** Where pods are scheduled to. */
  nodeName = 'hand'
  #addresses = 0

  constructor(installation: VirtualInstallation, target: RuntimeTarget) {
    this.installation = installation
    this.target = target
  }

  get nowMs(): number {
    return this.installation.clock.monotonic()
  }

  call(): Call {
    const call: Call = {}
    void this.installation.desk.enter(this.target, CALLER, SESSION_ID, never).then((entered) => {
      call.entered = entered
      call.atMs = this.nowMs
    })
    return call
  }

  async answered(call: Call, withinMs = 120_000): Promise<Entered> {
    await this.installation.until(() => call.entered !== undefined, withinMs, 'the call is answered')
    return call.entered!
  }

  /** The session's pods that are not told to go. */
  async pods(): Promise<Pod[]> {
    return (await this.everyPod()).filter(({ metadata }) => !metadata.deletionTimestamp)
  }

  async everyPod(): Promise<Pod[]> {
    return (await this.now(this.installation.admin.list(PODS))).items
  }

  /** The pod of a session that opens, on the node. */
  async scheduled(): Promise<Pod> {
    const pod = await this.unscheduled()
    if (pod.spec?.nodeName) return pod
    const { namespace, name } = pod.metadata
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/binding`
    const target = { apiVersion: 'v1', kind: 'Node', name: this.nodeName }
    const body = { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target }
    const answer = await this.now(this.installation.transport('kubelet', 'bind').request({ method: 'POST', path, body }))
    if (answer.status >= 300) throw new Error(JSON.stringify(answer.body))
    return this.status(pod, { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'True' }] })
  }

  async unscheduled(): Promise<Pod> {
    for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 10) {
      const pod = (await this.pods())[0]
      if (pod) return pod
      await this.installation.advance(10)
    }
    throw new Error('no pod was made')
  }

  /** Its agent listens and answers pings. */
  async running(): Promise<Pod> {
    const pod = await this.scheduled()
    const podIP = `10.0.0.${(this.#addresses += 1)}`
    await this.installation.host.start({ uid: pod.metadata.uid!, address: podIP } as never)
    return this.status(pod, { phase: 'Running', podIP, containerStatuses: [containerStatus('agent', { running: {} })] })
  }

  async agent(pod: Pod, state: NonNullable<ContainerStatus['state']>): Promise<number> {
    await this.status(pod, { containerStatuses: [containerStatus('agent', state)] })
    return this.nowMs
  }

  status(pod: Pod, status: Partial<NonNullable<Pod['status']>>): Promise<Pod> {
    const { namespace, name } = pod.metadata
    return this.now(this.installation.admin.mergePatch(PODS, namespace, name, { status }, { subresource: 'status' }))
  }

  /** As the taint manager, the Eviction API and the scheduler do it: the condition, then the deletion. */
  async disrupt(pod: Pod, reason: string): Promise<void> {
    await this.status(pod, { conditions: [{ type: 'DisruptionTarget', status: 'True', reason, message: 'by hand' }] })
    await this.remove(pod)
  }

  async remove(pod: Pod): Promise<void> {
    const { namespace, name, uid } = pod.metadata
    await this.now(this.installation.admin.delete(PODS, namespace, name, { uid: uid! }))
  }

  /** Kubelet's last word on a pod that was told to go. */
  async gone(pod: Pod): Promise<void> {
    const { namespace, name, uid } = pod.metadata
    await this.now(this.installation.host.signal(uid!))
    await this.now(this.installation.admin.delete(PODS, namespace, name, { uid: uid!, gracePeriodSeconds: 0 }))
  }

  async event(pod: Pod, reason: string, note: string): Promise<number> {
    const { apiVersion, kind } = pod
    const { namespace, name, uid } = pod.metadata
    const event = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${name}.${reason.toLowerCase()}`, namespace: namespace! },
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'kubelet',
      reportingInstance: 'hand',
      action: 'Start',
      reason,
      note,
      type: 'Warning',
      regarding: { apiVersion, kind, namespace: namespace!, name, uid: uid! },
    } as const
    await this.now(this.installation.admin.create(EVENTS, event as KubeEvent))
    return this.nowMs
  }

  async node(ready: 'True' | 'False' | 'Unknown', name = this.nodeName): Promise<void> {
    const { admin } = this.installation
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name } } as KubeObject
    if ((await this.now(admin.find(NODES, undefined, name))) === undefined) await this.now(admin.create(NODES, node))
    const status = { conditions: [{ type: 'Ready', status: ready, reason: 'ByHand', message: '' }] }
    await this.now(admin.mergePatch(NODES, undefined, name, { status }, { subresource: 'status' }))
  }

  /** Reasons of all events, in no order. */
  async events(): Promise<string[]> {
    return (await this.now(this.installation.admin.list(EVENTS))).items.map(({ reason }) => reason)
  }

  async deleteRecord(): Promise<void> {
    const { namespace, name, uid } = (await this.session()).metadata
    await this.now(this.installation.admin.delete(AGENT_SESSIONS, namespace, name, { uid: uid! }))
  }

  async session(): Promise<AgentSession> {
    return (await this.installation.session())!
  }

  async ended(reason: string, incarnation = 1): Promise<AgentSession> {
    for (let waitedMs = 0; waitedMs < 120_000; waitedMs += 100) {
      const session = await this.session()
      if (session.status?.endReason === reason && session.status.incarnation === incarnation) return session
      await this.installation.advance(100)
    }
    throw new Error(`it does not end as ${reason}: ${JSON.stringify((await this.session()).status)}`)
  }

  /** What the API server answers takes no time of the virtual clock. */
  now<Value>(promise: Promise<Value>): Promise<Value> {
    return this.installation.settle(promise, 1_000)
  }
}
