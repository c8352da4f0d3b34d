/**
 * Embedded API, operator and kubelet as shipped, on real time; the kubelet's machine is played: each pod is a PlayedPod, and the
 * address of one that has ended is given to the next, as cluster networks do.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { MemoryActivity } from '../../src/activity/memory.ts'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { AGENT_PORT, SESSION_UID_LABEL } from '../../src/crds/agent-session.ts'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import type { Proving } from '../../src/gateway/proxy/connect.ts'
import { Pools } from '../../src/gateway/proxy/pools.ts'
import { SessionDesk } from '../../src/gateway/sessions/sessions.ts'
import { Tables } from '../../src/gateway/sessions/tables.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { PODS } from '../../src/kube/resource.ts'
import type { Transport, WatchEvent, WatchRequest } from '../../src/kube/transport.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { ProcessKubelet } from '../../src/local/kubelet/kubelet.ts'
import type { Exit, PlacedPod, ProcessHost } from '../../src/local/kubelet/process-host.ts'
import { Operator } from '../../src/operator/operator.ts'
import { operatorSettings } from '../../src/operator/settings.ts'
import { agentRuntimeArn, agentRuntimeId } from '../../src/sessions/runtime-id.ts'
import { eventually } from '../kit/eventually.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { RawGateway } from '../kit/raw-gateway.ts'
import { PlayedPod, freshAddress, meterOf } from './played-pod.ts'
import { KEY, SCOPE, partsWith } from './served.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const base = { clock: systemClock, random: systemRandom, log: quiet }

/** A gateway whose watches can be held back. */
export interface PlayedGateway {
  raw: RawGateway
  routesTo(podUID: string): boolean
  hold(): void
  release(): void
}

export class PlayedCluster {
  readonly host: PlayedHost
  readonly #api: EmbeddedApi
  readonly #admin: KubeClient
  readonly #activity = new MemoryActivity(systemClock)
  readonly #end = new AbortController()
  readonly #t: TestContext

  /** Ends with the test. */
  static async start(t: TestContext): Promise<PlayedCluster> {
    const cluster = new PlayedCluster(t)
    await cluster.#start()
    return cluster
  }

  constructor(t: TestContext) {
    this.#t = t
    this.#api = new EmbeddedApi({ ...base, persistence: new MemoryPersistence(), logs: { async *read() {} } })
    this.#admin = new KubeClient(inProcessTransport(this.#api, IDENTITIES.admin))
    this.host = new PlayedHost(this.#admin)
  }

  /** Its ARN, once `gateway` serves it. */
  async apply(gateway: PlayedGateway): Promise<string> {
    const runtime = await this.#admin.create(AGENT_RUNTIMES, runtimeManifest('probe', {}))
    const arn = agentRuntimeArn(agentRuntimeId(runtime), SCOPE)
    const isServed = async (): Promise<boolean> => (await gateway.raw.invoke(arn, 'too-short', {})).status !== 404
    await eventually(isServed, { withinMs: 10_000, because: 'the gateway knows the runtime' })
    return arn
  }

  async gateway(proving: Proving): Promise<PlayedGateway> {
    const { transport, hold, release } = holdable(inProcessTransport(this.#api, IDENTITIES.gateway))
    const pools = new Pools(proving)
    const env = { ...base, kubernetes: transport, activity: this.#activity, dial: pools }
    const tables = new Tables(env, { namespace: 'carrel-system', accessKeyType: 'carrel.dev/access-key' }, this.#end.signal)
    const desk = new SessionDesk(env, tables, { name: `gateway-${freshAddress()}`, ready: tables.synced })
    desk.onGone((podUID) => pools.remove(podUID, 'at once'))
    void desk.run(this.#end.signal)
    const spoolDirectory = mkdtempSync(join(tmpdir(), 'carrel-spool-'))
    const spoolLimits = { perKeyBytes: 1e9, perAddressBytes: 1e9, totalBytes: 1e9 }
    const options = { ...SCOPE, host: '127.0.0.1', port: 0, hosts: undefined, spoolDirectory, spoolLimits }
    const gateway = new Gateway(base, options, partsWith(desk, pools))
    const { port } = await gateway.listen()
    const raw = new RawGateway(`http://127.0.0.1:${port}`, { ...KEY, region: SCOPE.region })
    this.#t.after(async () => {
      release()
      raw.close()
      await gateway.drain(0)
      rmSync(spoolDirectory, { recursive: true, force: true })
    })
    await tables.synced
    const routesTo = (podUID: string): boolean =>
      tables.sessions.list().some(({ metadata }) => {
        const situation = tables.situation(`${metadata.namespace}/${metadata.name}`)
        return situation.kind === 'routable' && situation.route.podUID === podUID
      })
    return { raw, routesTo, hold, release }
  }

  async #start(): Promise<void> {
    await this.#api.start()
    const kubernetes = (identity: keyof typeof IDENTITIES): Transport => inProcessTransport(this.#api, IDENTITIES[identity])
    const operator = new Operator(
      {
        ...base,
        kubernetes: kubernetes('operator'),
        activity: this.#activity,
        probe: { ping: async () => ({ answer: 'Healthy' }) },
        providers: { check: async () => ({ ok: true }) },
        meters: { read: async () => 'unmetered', acknowledge: async () => {} },
      },
      operatorSettings.parse({ artifacts: 'code' }),
    )
    const kubelet = new ProcessKubelet(
      { ...base, kubernetes: kubernetes('kubelet'), host: this.host },
      { nodeName: 'played', region: SCOPE.region, workingDirectory: '/', listenerCheckMs: 60_000 },
    )
    const running = [operator.run(this.#end.signal), kubelet.run(this.#end.signal)]
    this.#t.after(async () => {
      this.#end.abort()
      await Promise.all(running)
      await this.host.end()
      this.#api.close()
    })
  }
}

/** The kubelet's machine. */
export class PlayedHost implements ProcessHost {
  /** By pod UID. */
  readonly pods = new Map<string, PlayedPod>()
  readonly #exits = new Map<string, PromiseWithResolvers<Exit>>()
  readonly #free: string[] = []
  readonly #client: KubeClient

  constructor(client: KubeClient) {
    this.#client = client
  }

  async prepare(): Promise<{ ready: true }> {
    return { ready: true }
  }

  async start({ uid, name, namespace, address }: PlacedPod): Promise<{ pid: number }> {
    const { metadata } = await this.#client.get(PODS, namespace, name)
    const pod = { uid, sessionUID: metadata.labels![SESSION_UID_LABEL]!, address, port: AGENT_PORT }
    const played = new PlayedPod(pod, meterOf(pod))
    this.pods.set(uid, played)
    this.#exits.set(uid, Promise.withResolvers())
    await Promise.all([played.listenAsAgent(), played.listenAsMeter()])
    return { pid: this.pods.size }
  }

  exited(podUID: string): Promise<Exit> {
    return this.#exits.get(podUID)?.promise ?? Promise.resolve({ exitCode: 0 })
  }

  async signal(podUID: string): Promise<void> {
    await this.pods.get(podUID)?.end()
    this.#exits.get(podUID)?.resolve({ exitCode: 143, signal: 15 })
  }

  async cleanup(podUID: string): Promise<void> {
    if (this.#exits.delete(podUID)) this.#free.push(this.pods.get(podUID)!.pod.address)
  }

  async nextAddress(): Promise<string> {
    return this.#free.shift() ?? freshAddress()
  }

  async end(): Promise<void> {
    await Promise.all(Array.from(this.pods.values(), (pod) => pod.end()))
  }

  async processes(): Promise<number[]> {
    return []
  }
  async violations(): Promise<[]> {
    return []
  }
  async leftovers(): Promise<string[]> {
    return []
  }
  async forget(): Promise<void> {}
}

/** A transport whose watches say nothing while they are held, and all of it after. */
function holdable(inner: Transport): { transport: Transport; hold(): void; release(): void } {
  let gate = Promise.withResolvers<void>()
  gate.resolve()
  async function* watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    for await (const event of inner.watch(request)) {
      await gate.promise
      if (request.signal?.aborted) return
      yield event
    }
  }
  return {
    transport: { request: (request) => inner.request(request), watch },
    hold: () => (gate = Promise.withResolvers()),
    release: () => gate.resolve(),
  }
}
