import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import type { Log } from '../../src/env/log.ts'
import { VirtualClock, seededRandom } from '../../src/env/virtual.ts'
import type { WatchEvent } from '../../src/kube/transport.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import type { ApiCall, Identity, PodLogs } from '../../src/local/api/call.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { MemoryPersistence, type Persistence } from '../../src/local/api/persistence.ts'

export const RUNTIMES = '/apis/carrel.dev/v1alpha1/namespaces/default/agentruntimes'
export const SESSIONS = '/apis/carrel.dev/v1alpha1/namespaces/default/agentsessions'
export const PODS = '/api/v1/namespaces/default/pods'
export const SECRETS = '/api/v1/namespaces/default/secrets'
export const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'
export const NAMESPACES = '/api/v1/namespaces'
export const REVISIONS = '/apis/apps/v1/namespaces/default/controllerrevisions'

export const MERGE = 'application/merge-patch+json'
export const JSON_PATCH = 'application/json-patch+json'
export const STRATEGIC = 'application/strategic-merge-patch+json'

export interface Sent {
  query?: Record<string, string>
  contentType?: string
  as?: Identity
  signal?: AbortSignal
}

export interface Answered {
  status: number
  headers: Record<string, string>
  body: any
}

interface Options {
  persistence?: Persistence
  historySize?: number
  logs?: PodLogs
}

const NO_LOGS: PodLogs = { async *read() {} }

/** The API server in this process, on a clock that moves when the test says so. */
export class TestApi {
  readonly clock = new VirtualClock(seededRandom('clock'))
  readonly warnings: string[] = []
  readonly api: EmbeddedApi

  private constructor({ persistence = new MemoryPersistence(), historySize, logs = NO_LOGS }: Options) {
    const note = (_fields: object, message: string): void => void this.warnings.push(message)
    const log: Log = { debug() {}, info() {}, warn: note, error: note }
    const env = { clock: this.clock, random: seededRandom('api'), log, persistence, logs }
    this.api = new EmbeddedApi(env, historySize === undefined ? {} : { historySize })
  }

  static async start(options: Options = {}): Promise<TestApi> {
    const started = new TestApi(options)
    await started.api.start()
    await started.settle()
    return started
  }

  async send(
    method: ApiCall['method'],
    path: string,
    body?: unknown,
    { query = {}, contentType, as = IDENTITIES.admin, signal }: Sent = {},
  ): Promise<Answered> {
    const call: ApiCall = { identity: as, method, path, query: new URLSearchParams(query), body: structuredClone(body) }
    if (contentType !== undefined) call.contentType = contentType
    if (signal !== undefined) call.signal = signal
    const answer = await this.api.handle(call)
    assert.ok('body' in answer, 'this request is answered with a body')
    return { status: answer.status, headers: answer.headers ?? {}, body: structuredClone(answer.body) }
  }

  /** The answer's body; fails unless it is a success. */
  async must(method: ApiCall['method'], path: string, body?: unknown, sent: Sent = {}): Promise<any> {
    const answer = await this.send(method, path, body, sent)
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.body.message}`)
    return answer.body
  }

  /** The Status of a request that must be refused so. */
  async refused(status: number, reason: string, method: ApiCall['method'], path: string, body?: unknown, sent: Sent = {}): Promise<any> {
    const answer = await this.send(method, path, body, sent)
    assert.deepEqual([answer.status, answer.body.kind, answer.body.reason], [status, 'Status', reason], JSON.stringify(answer.body))
    assert.equal(answer.body.code, status)
    return answer.body
  }

  merge(path: string, patch: object, sent: Sent = {}): Promise<any> {
    return this.must('PATCH', path, patch, { contentType: MERGE, ...sent })
  }

  async names(path: string, query: Record<string, string> = {}): Promise<string[]> {
    const list = await this.must('GET', path, undefined, { query })
    return list.items.map((item: any) => item.metadata.name)
  }

  /** A write by the operator, whose word a status is. */
  status(path: string, status: object): Promise<any> {
    return this.merge(`${path}/status`, { status }, { as: IDENTITIES.operator })
  }

  /** Lets what works in the background come to rest. */
  async settle(forMs = 20): Promise<void> {
    await this.clock.run(this.clock.monotonic() + forMs)
    await turn()
  }

  async watch(path: string, query: Record<string, string> = {}, sent: Sent = {}): Promise<Watched> {
    const call: ApiCall = {
      identity: sent.as ?? IDENTITIES.admin,
      method: 'GET',
      path,
      query: new URLSearchParams({ watch: 'true', ...query }),
    }
    if (sent.signal !== undefined) call.signal = sent.signal
    const answer = await this.api.handle(call)
    assert.ok('watch' in answer, `a watch: ${JSON.stringify(answer)}`)
    return new Watched(answer.watch)
  }
}

/** What a watch has brought. */
export class Watched {
  readonly events: WatchEvent[] = []
  ended = false
  #taken = 0

  constructor(events: AsyncIterable<WatchEvent>) {
    void this.#read(events)
  }

  async #read(events: AsyncIterable<WatchEvent>): Promise<void> {
    for await (const event of events) this.events.push(structuredClone(event))
    this.ended = true
  }

  /** Those since the last call, as `TYPE name`. */
  async news(): Promise<string[]> {
    await turn()
    const fresh = this.events.slice(this.#taken)
    this.#taken = this.events.length
    return fresh.map(({ type, object }) => (type === 'ERROR' ? `ERROR ${object.code}` : `${type} ${object.metadata?.['name' as never]}`))
  }
}

export function runtime(name: string, more: object = {}): object {
  return {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentRuntime',
    metadata: { name },
    spec: { artifact: { code: { directory: 'examples/hello', command: ['node', 'agent.ts'] } }, ...more },
  }
}

export function pod(name: string, metadata: object = {}, spec: object = {}): object {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, ...metadata }, spec: { containers: [{ name: 'agent', image: 'a' }], ...spec } }
}

export function secret(name: string, data: Record<string, string> = {}, more: object = {}): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, data, ...more }
}

export function configMap(name: string, metadata: object = {}, data: Record<string, string> = { a: '1' }): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data }
}

export function ownedBy(owner: any): { ownerReferences: object[] } {
  const { apiVersion, kind, metadata } = owner
  return { ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true }] }
}
