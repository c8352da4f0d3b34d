import { seededRandom, VirtualClock } from '../../src/env/virtual.ts'
import type { Env } from '../../src/env/env.ts'
import { CODE_DIRECTORY_ANNOTATION } from '../../src/crds/agent-session.ts'
import { KubeClient } from '../../src/kube/client.ts'
import type { Pod } from '../../src/kube/objects.ts'
import { PODS } from '../../src/kube/resource.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { ProcessKubelet } from '../../src/local/kubelet/kubelet.ts'
import type { Exit, PlacedPod, PodPlan, Prepared, ProcessHost, Started, Violation } from '../../src/local/kubelet/process-host.ts'

export const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

export function agentPod(
  name: string,
  changes: { command?: string[]; directory?: string | undefined; spec?: Partial<Pod['spec']>; env?: object[] } = {},
): Pod {
  const { command = ['node', 'agent.ts'], env } = changes
  const directory = 'directory' in changes ? changes.directory : 'examples/hello'
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', ...(directory ? { annotations: { [CODE_DIRECTORY_ANNOTATION]: directory } } : {}) },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 4,
      containers: [{ name: 'agent', image: 'none', command, ports: [{ containerPort: 8080 }], ...(env ? { env } : {}) }],
      ...changes.spec,
    } as Pod['spec'],
  } as Pod
}

/** A machine that does what it is told, at once. Exits come from the test, or from signals. */
export class FakeHost implements ProcessHost {
  readonly log: string[] = []
  readonly running = new Map<string, PlacedPod>()
  readonly files = new Set<string>()
  readonly logs = new Set<string>()
  refusal: Prepared | undefined
  failure: Started | undefined
  ignoresSigterm = false
  offLoopback: Violation[] = []
  #exits = new Map<string, { promise: Promise<Exit>; resolve: (exit: Exit) => void }>()
  #addresses = 0

  async prepare({ uid, name }: PodPlan): Promise<Prepared> {
    this.log.push(`prepare ${name}`)
    if (this.refusal) return this.refusal
    this.files.add(uid)
    return { ready: true }
  }

  async start(pod: PlacedPod): Promise<Started> {
    this.log.push(`start ${pod.name}`)
    if (this.failure) return this.failure
    this.running.set(pod.uid, pod)
    this.logs.add(pod.uid)
    let resolve: (exit: Exit) => void = () => {}
    const promise = new Promise<Exit>((settle) => (resolve = settle))
    this.#exits.set(pod.uid, { promise, resolve })
    return { pid: 1000 + this.running.size }
  }

  exited(uid: string): Promise<Exit> {
    return this.#exits.get(uid)?.promise ?? new Promise(() => {})
  }

  exit(uid: string, exit: Exit): void {
    this.running.delete(uid)
    this.#exits.get(uid)?.resolve(exit)
  }

  async signal(uid: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const pod = this.running.get(uid)
    if (pod === undefined) return
    this.log.push(`${signal} ${pod.name}`)
    if (signal === 'SIGKILL') this.exit(uid, { exitCode: 137, signal: 9 })
    else if (!this.ignoresSigterm) this.exit(uid, { exitCode: 143, signal: 15 })
  }

  async processes(uid: string): Promise<number[]> {
    return this.running.has(uid) ? [1] : []
  }

  async violations(): Promise<Violation[]> {
    return this.offLoopback
  }

  async cleanup(uid: string): Promise<void> {
    this.files.delete(uid)
  }

  async forget(uid: string): Promise<void> {
    this.logs.delete(uid)
  }

  async leftovers(): Promise<string[]> {
    return [...new Set([...this.running.keys(), ...this.files, ...this.logs])]
  }

  async nextAddress(): Promise<string> {
    this.#addresses += 1
    return `127.1.0.${this.#addresses}`
  }
}

/** The kubelet on the embedded API and a virtual clock. */
export class Bench {
  readonly clock: VirtualClock
  readonly env: Env
  readonly host = new FakeHost()
  readonly api: EmbeddedApi
  readonly client: KubeClient
  readonly transport: Transport
  #stop = new AbortController()
  #ended: Promise<void> = Promise.resolve()

  constructor(seed = 1) {
    const random = seededRandom(seed)
    this.clock = new VirtualClock(random)
    this.env = { clock: this.clock, random, log: quiet }
    this.api = new EmbeddedApi({ ...this.env, persistence: new MemoryPersistence(), logs: { async *read() {} } })
    this.client = new KubeClient(inProcessTransport(this.api, IDENTITIES.admin))
    this.transport = inProcessTransport(this.api, IDENTITIES.kubelet)
  }

  async start(transport: Transport = this.transport): Promise<void> {
    await this.api.start()
    this.runKubelet(transport)
  }

  runKubelet(transport: Transport = this.transport): void {
    this.#stop = new AbortController()
    const kubelet = new ProcessKubelet(
      { ...this.env, kubernetes: transport, host: this.host },
      { nodeName: 'laptop', region: 'us-east-1', workingDirectory: '/work', listenerCheckMs: 100 },
    )
    this.#ended = kubelet.run(this.#stop.signal)
  }

  /** Told to stop, as by Ctrl-C. */
  async stopKubelet(): Promise<void> {
    this.#stop.abort()
    let over = false
    void this.#ended.then(() => (over = true))
    await this.clock.run(this.clock.monotonic() + 10_000, () => over)
  }

  async until(done: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
    const untilMs = this.clock.monotonic() + withinMs
    while (!(await done())) {
      if (this.clock.monotonic() >= untilMs) throw new Error(`not within ${withinMs} ms of virtual time`)
      await this.clock.run(this.clock.monotonic() + 5)
    }
  }

  create(pod: Pod): Promise<Pod> {
    return this.client.create(PODS, pod)
  }

  find(name: string): Promise<Pod | undefined> {
    return this.client.find(PODS, 'default', name)
  }

  async reach(name: string, phase: string): Promise<Pod> {
    let pod: Pod | undefined
    await this.until(async () => (pod = await this.find(name))?.status?.phase === phase)
    return pod!
  }
}

type ContainerState = NonNullable<NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]['state']>

export function stateOf(pod: Pod): ContainerState {
  return pod.status?.containerStatuses?.[0]?.state ?? {}
}

/** Of a pod whose agent has ended; throws for any other. */
export function terminatedOf(pod: Pod): NonNullable<ContainerState['terminated']> {
  const { terminated } = stateOf(pod)
  if (terminated === undefined) throw new Error(`the agent of ${pod.metadata.name} has not ended`)
  return terminated
}

export function conditionOf(pod: Pod, type: string): string | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type)?.status
}
