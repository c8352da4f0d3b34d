/** An installation on a virtual clock, seen by who writes AgentRuntimes. */
import type { TestContext } from 'node:test'
import { AGENT_RUNTIMES, type AgentRuntime } from '../../src/crds/agent-runtime.ts'
import type { CustomJWT } from '../../src/crds/authorizer.ts'
import type { RuntimeTarget } from '../../src/gateway/session-port.ts'
import { EVENTS, type KubeEvent } from '../../src/kube/events.ts'
import type { Condition, KubeObject } from '../../src/kube/objects.ts'
import type { Resource } from '../../src/kube/resource.ts'
import { agentRuntimeId } from '../../src/sessions/runtime-id.ts'
import { VirtualInstallation } from '../search/virtual-installation.ts'

export const NAMESPACES: Resource = { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }

export async function startWorld(t: TestContext, seed: number): Promise<RuntimeWorld> {
  const installation = new VirtualInstallation(seed)
  t.after(() => installation.stop())
  installation.host.pingMs = 0
  await installation.start()
  return new RuntimeWorld(installation)
}

export function jwtOf(issuer: string, ...allowedAudience: string[]): CustomJWT {
  return { discoveryUrl: `${issuer}/.well-known/openid-configuration`, allowedAudience }
}

/** Longer than the watches of everybody lag behind. */
export const LAG_MS = 15_000

type Spec = Partial<AgentRuntime['spec']>

export class RuntimeWorld {
  readonly installation: VirtualInstallation

  constructor(installation: VirtualInstallation) {
    this.installation = installation
  }

  /** Creates the runtime; the answer is as the API server has stored it. */
  create(name: string, spec: Spec = {}, namespace = 'default'): Promise<AgentRuntime> {
    const whole = { artifact: { code: { directory: '/agent', command: ['agent'] } }, ...spec }
    const manifest = { apiVersion: 'carrel.dev/v1alpha1', kind: 'AgentRuntime', metadata: { name, namespace }, spec: whole }
    return this.now(this.installation.admin.create(AGENT_RUNTIMES, manifest as unknown as AgentRuntime))
  }

  /** A merge patch of the spec. */
  change(name: string, spec: Record<string, unknown>, namespace = 'default'): Promise<AgentRuntime> {
    return this.now(this.installation.admin.mergePatch(AGENT_RUNTIMES, namespace, name, { spec }))
  }

  get(name: string, namespace = 'default'): Promise<AgentRuntime> {
    return this.now(this.installation.admin.get(AGENT_RUNTIMES, namespace, name))
  }

  /** Once the operator has said all about the spec as it is now: nothing more to write for as long as a watch may lag. */
  async settled(name: string, namespace = 'default'): Promise<AgentRuntime> {
    for (;;) {
      const { metadata } = await this.get(name, namespace)
      await this.installation.advance(LAG_MS)
      const later = await this.get(name, namespace)
      if (later.metadata.resourceVersion === metadata.resourceVersion && later.status?.observedGeneration === later.metadata.generation)
        return later
    }
  }

  async condition(name: string, type: string, namespace = 'default'): Promise<Condition | undefined> {
    return (await this.settled(name, namespace)).status?.conditions?.find((condition) => condition.type === type)
  }

  /** In order. */
  async events(name: string): Promise<string[]> {
    const { items } = await this.now(this.installation.admin.list<KubeEvent>(EVENTS))
    return items
      .filter(({ regarding }) => regarding.name === name)
      .toSorted((a, b) => (a.eventTime < b.eventTime ? -1 : 1))
      .map(({ type, reason }) => `${type} ${reason}`)
  }

  /** As the gateway finds it. */
  find(runtime: AgentRuntime, endpoint: string): RuntimeTarget | undefined | 'NoSuchEndpoint' {
    return this.installation.desk.findRuntime({ runtimeId: agentRuntimeId(runtime) }, endpoint)
  }

  target(runtime: AgentRuntime, endpoint: string): RuntimeTarget {
    const found = this.find(runtime, endpoint)
    if (typeof found !== 'object') throw new Error(`${endpoint}: ${found ?? 'no runtime'}`)
    return found
  }

  async remove(resource: Resource, { metadata }: KubeObject): Promise<void> {
    await this.now(this.installation.admin.delete(resource, metadata.namespace, metadata.name, { uid: metadata.uid! }))
  }

  /** What the API server answers takes no time of the virtual clock. */
  now<Value>(promise: Promise<Value>): Promise<Value> {
    return this.installation.settle(promise, 1_000)
  }
}
