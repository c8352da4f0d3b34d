import { createHash } from 'node:crypto'
import { MemoryActivity } from '../../src/activity/memory.ts'
import type { AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS, type AgentSession } from '../../src/crds/agent-session.ts'
import type { Log } from '../../src/env/log.ts'
import { mortal, type Mortal, type PortCall } from '../../src/env/mortal.ts'
import { VirtualClock, seededRandom } from '../../src/env/virtual.ts'
import type { GatewayEnv } from '../../src/gateway/env.ts'
import type { Caller, RuntimeTarget } from '../../src/gateway/session-port.ts'
import { SessionDesk } from '../../src/gateway/sessions/sessions.ts'
import { Tables } from '../../src/gateway/sessions/tables.ts'
import { KubeClient } from '../../src/kube/client.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { ProcessKubelet } from '../../src/local/kubelet/kubelet.ts'
import { meteredHost } from '../../src/local/kubelet/meter/metered-host.ts'
import { PodMeter, type Tree } from '../../src/local/kubelet/meter/pod-meter.ts'
import type { Meters, OperatorEnv, Providers } from '../../src/operator/env.ts'
import { Operator } from '../../src/operator/operator.ts'
import { operatorSettings } from '../../src/operator/settings.ts'
import { agentRuntimeId } from '../../src/sessions/runtime-id.ts'
import { forbidAmbient } from './forbid-ambient.ts'
import { laggyTransport } from './laggy-transport.ts'
import { SimulatedHost } from './simulated-host.ts'

export const CALLER: Caller = { owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: 'ann' }, mayReadLogs: async () => true }
export const SESSION_ID = 'virtual-session-'.padEnd(33, '0')

/** A whole installation on one virtual clock, in one process; every choice comes from the seed. */
export class VirtualInstallation {
  readonly clock: VirtualClock
  readonly api: EmbeddedApi
  readonly host: SimulatedHost
  readonly activity: MemoryActivity
  readonly admin: KubeClient
  desk!: SessionDesk
  tables!: Tables
  operator!: Mortal<OperatorEnv>
  /** Each pod uses a tenth of a CPU and 200 MiB while it lives. */
  readonly meter: PodMeter
  meters: Meters
  /** What identity providers answer the operator. */
  providers: Providers = { check: async () => ({ ok: true }) }
  /** Problems that the log was told of as errors. */
  readonly errors: string[] = []
  /** Monotonic: when the activity store closed which pod. */
  readonly closedAtMs = new Map<string, number>()
  readonly #seed: number
  readonly #trace = createHash('sha256')
  readonly #allowAmbient = forbidAmbient()
  readonly #end = new AbortController()
  readonly #ttlSeconds: number
  readonly #metersBeside: boolean
  readonly #isByHand: boolean
  #traced = 0
  #starts = 0

  /**
   * `metersBeside`: each pod has its own meter, which goes with it; else one meter knows all pods, those that are gone too.
   * `isByHand`: pods are of containers, and no kubelet runs them: the test is scheduler and kubelet.
   */
  constructor(seed: number, options: { sessionTtlSeconds?: number; metersBeside?: boolean; isByHand?: boolean } = {}) {
    this.#seed = seed
    this.#isByHand = options.isByHand ?? false
    this.#metersBeside = options.metersBeside ?? false
    this.#ttlSeconds = options.sessionTtlSeconds ?? 600
    this.clock = new VirtualClock(this.random('clock'))
    this.host = new SimulatedHost(this.clock, this.random('host'))
    this.meter = simulatedMeter(this.base('meter'))
    this.host.watcher = this.meter
    this.meters = {
      read: async ({ uid }) => {
        if (this.host.isAlive(uid)) this.meter.signalled(uid, [1])
        else if (this.#metersBeside) throw new Error('the meter went with its pod')
        return this.meter.report(uid) ?? 'unknown'
      },
      acknowledge: async (podUID) => void (await this.meter.acknowledge(podUID)),
    }
    this.activity = new MemoryActivity(this.clock)
    this.#noteCloses()
    const logs = { async *read() {} }
    this.api = new EmbeddedApi({ ...this.base('api'), persistence: new MemoryPersistence(), logs })
    this.admin = new KubeClient(inProcessTransport(this.api, IDENTITIES.admin))
  }

  random(purpose: string): ReturnType<typeof seededRandom> {
    return seededRandom(`${this.#seed}/${purpose}`)
  }

  base(purpose: string): { clock: VirtualClock; random: ReturnType<typeof seededRandom>; log: Log } {
    const quiet = (): void => {}
    const error = (fields: object, message: string): void => void this.errors.push(`${message} ${String((fields as { err?: Error }).err)}`)
    return { clock: this.clock, random: this.random(purpose), log: { debug: quiet, info: quiet, warn: quiet, error } }
  }

  transport(identity: keyof typeof IDENTITIES, purpose: string): Transport {
    return laggyTransport(inProcessTransport(this.api, IDENTITIES[identity]), this.clock, this.random(`${purpose}-lag`))
  }

  async start(): Promise<void> {
    await this.api.start()
    this.startOperator()
    const gatewayEnv: GatewayEnv = {
      ...this.base('gateway'),
      kubernetes: this.transport('gateway', 'gateway'),
      activity: this.activity,
      dial: this.host.dial,
    }
    const { env } = mortal(gatewayEnv, (call) => this.#record('gateway', call))
    this.tables = new Tables(env, { namespace: 'carrel-system', accessKeyType: 'carrel.dev/access-key' }, this.#end.signal)
    this.desk = new SessionDesk(env, this.tables, { name: 'gateway-virtual', ready: this.tables.synced })
    void this.desk.run(this.#end.signal)
    if (this.#isByHand) return
    const kubelet = new ProcessKubelet(
      { ...this.base('kubelet'), kubernetes: this.transport('kubelet', 'kubelet'), host: meteredHost(this.host, this.meter) },
      { nodeName: 'virtual', region: 'us-east-1', workingDirectory: '/', listenerCheckMs: 60_000 },
    )
    void kubelet.run(this.#end.signal)
  }

  /** `onCall` sees each port call before it is made; a test kills the operator there. */
  startOperator(onCall: (call: PortCall) => void = () => {}): void {
    this.#starts += 1
    const purpose = `operator-${this.#starts}`
    const env: OperatorEnv = {
      ...this.base(purpose),
      kubernetes: this.transport('operator', purpose),
      activity: this.activity,
      probe: this.host.probe,
      providers: { check: (customJWT) => this.providers.check(customJWT) },
      meters: { read: (pod) => this.meters.read(pod), acknowledge: (podUID) => this.meters.acknowledge(podUID) },
    }
    this.operator = mortal(env, (call) => {
      this.#record('operator', call)
      onCall(call)
    })
    const settings = operatorSettings.parse({
      artifacts: this.#isByHand ? 'container' : 'code',
      sessionTtlSeconds: this.#ttlSeconds,
      ...(this.#metersBeside ? { meterImage: 'meter', meterSecret: 'a-secret-of-at-least-thirty-two-characters' } : {}),
    })
    void new Operator(this.operator.env, settings).run(this.#end.signal)
  }

  /** Runs until the promise settles, at most `withinMs` of virtual time. */
  async settle<Value>(promise: Promise<Value>, withinMs: number): Promise<Value> {
    let outcome: { value: Value } | { error: unknown } | undefined
    promise.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    )
    await this.clock.run(this.clock.monotonic() + withinMs, () => outcome !== undefined)
    if (outcome === undefined) throw new Error(`seed ${this.#seed}: nothing came of it within ${withinMs} ms`)
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }

  async until(condition: () => boolean, withinMs: number, what: string): Promise<void> {
    await this.clock.run(this.clock.monotonic() + withinMs, condition)
    if (!condition()) throw new Error(`seed ${this.#seed}: not within ${withinMs} ms: ${what}`)
  }

  async advance(ms: number): Promise<void> {
    await this.clock.run(this.clock.monotonic() + ms)
  }

  async createRuntime(lifecycle: { idleTimeoutSeconds: number; maxLifetimeSeconds: number }): Promise<RuntimeTarget> {
    const manifest = {
      apiVersion: 'carrel.dev/v1alpha1',
      kind: 'AgentRuntime',
      metadata: { name: 'echo', namespace: 'default' },
      spec: { artifact: { code: { directory: '/echo', command: ['echo'] }, container: { image: 'acme/echo:1' } }, lifecycle },
    } as AgentRuntime
    const runtime = await this.settle(this.admin.create(AGENT_RUNTIMES, manifest), 1_000)
    const runtimeId = agentRuntimeId(runtime)
    await this.until(() => this.desk.findRuntime({ runtimeId }, 'DEFAULT') !== undefined, 10_000, 'the gateway sees the runtime')
    return this.desk.findRuntime({ runtimeId }, 'DEFAULT') as RuntimeTarget
  }

  /** What the API server holds of the one session, at this moment. */
  async session(): Promise<AgentSession | undefined> {
    return (await this.settle(this.admin.list(AGENT_SESSIONS), 1_000)).items[0]
  }

  /** Over every call that went through a port of operator or gateway, in order, with its time. */
  traceHash(): string {
    return `${this.#traced}:${this.#trace.copy().digest('hex')}`
  }

  stop(): void {
    this.#end.abort()
    this.api.close()
    this.#allowAmbient()
  }

  #noteCloses(): void {
    const close = this.activity.close.bind(this.activity)
    this.activity.close = async (podUID, idleMs, mustHaveBeenHeard) => {
      const answer = await close(podUID, idleMs, mustHaveBeenHeard)
      if (answer.closed && !this.closedAtMs.has(podUID)) this.closedAtMs.set(podUID, this.clock.monotonic())
      return answer
    }
  }

  #record(process: string, { port, arguments: given }: PortCall): void {
    if (port.startsWith('log.') || port === 'clock.now' || port === 'clock.monotonic') return
    this.#traced += 1
    const shown = JSON.stringify(given, (_, value: unknown) =>
      typeof value === 'function' || value instanceof AbortSignal ? undefined : value,
    )
    this.#trace.update(`${this.clock.monotonic()} ${process} ${port} ${shown}\n`)
  }
}

function simulatedMeter(env: { clock: VirtualClock; random: ReturnType<typeof seededRandom>; log: Log }): PodMeter {
  const openTree = (): Tree => {
    const beganAtMs = env.clock.monotonic()
    const memoryBytes = 200 * 2 ** 20
    return { read: () => ({ cpuSeconds: (env.clock.monotonic() - beganAtMs) / 10_000, memoryBytes }), freeze: () => '' }
  }
  const store = { load: () => new Map<string, string>(), save: async () => {}, remove: async () => {} }
  return new PodMeter(env, { openTree, processes: () => new Map(), store })
}
