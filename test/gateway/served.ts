/** A real gateway in front of a real HTTP agent. The decisions about sessions are played: every session id is the one agent. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { BedrockAgentCoreClient } from '@aws-sdk/client-bedrock-agentcore'
import type { AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { Gateway, type GatewayOptions } from '../../src/gateway/gateway.ts'
import { Limits } from '../../src/gateway/limits/limits.ts'
import { GatewayMetrics } from '../../src/gateway/metrics.ts'
import { policyOf } from '../../src/gateway/policy.ts'
import { Pools } from '../../src/gateway/proxy/pools.ts'
import { Authenticator, type Bearers } from '../../src/gateway/auth/authenticate.ts'
import type { ClusterTokens } from '../../src/gateway/auth/cluster-tokens.ts'
import type { Rights } from '../../src/gateway/auth/rights.ts'
import type { Caller, Entered, RuntimeTarget, Sessions } from '../../src/gateway/session-port.ts'
import type { UpstreamPod } from '../../src/gateway/upstream.ts'
import { agentRuntimeArn, agentRuntimeId } from '../../src/sessions/runtime-id.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { RawGateway } from '../kit/raw-gateway.ts'

export const SCOPE = { accountId: '000000000000', region: 'us-east-1' }
export const KEY = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a+secret/of=ours', user: 'ada', groups: [] }
const SIGNING = { accessKeyId: KEY.accessKeyId, secretAccessKey: KEY.secretAccessKey, region: SCOPE.region }

export function runtimeOf(allowHeaders: string[] = []): AgentRuntime {
  const manifest = runtimeManifest('probe', { allowHeaders, limits: { callsPerSecondPerOwner: 100_000 } })
  return { ...manifest, metadata: { ...manifest.metadata, uid: 'runtime-uid' } }
}
export const RUNTIME_ID = agentRuntimeId(runtimeOf())
export const ARN = agentRuntimeArn(RUNTIME_ID, SCOPE)

/** The decisions, played. */
export class PlayedSessions implements Sessions {
  ready = Promise.resolve()
  entered: { sessionId: string; caller: Caller }[] = []
  stopped: { sessionId: string; clientToken: string | undefined }[] = []
  /** Calls that are held open. */
  held = 0
  refusals = 0
  readonly ended = Promise.withResolvers<{ reason: 'AgentExited' }>()
  readonly runtime: AgentRuntime
  pod: UpstreamPod
  /** Those of the first calls, in turn, before it. */
  pods: UpstreamPod[] = []
  /** What `enter` answers instead, when set. */
  instead: (() => Entered) | undefined

  constructor(pod: UpstreamPod, runtime: AgentRuntime) {
    this.pod = pod
    this.runtime = runtime
  }

  findRuntime({ runtimeId }: { runtimeId: string }, endpoint: string): RuntimeTarget | undefined | 'NoSuchEndpoint' {
    if (runtimeId !== RUNTIME_ID) return undefined
    return endpoint === 'DEFAULT' ? { runtime: this.runtime, runtimeId, endpoint, policy: policyOf(this.runtime.spec) } : 'NoSuchEndpoint'
  }

  namespaces(): Iterable<string> {
    return ['default']
  }

  isLive(): boolean {
    return true
  }

  async enter(_target: RuntimeTarget, caller: Caller, sessionId: string): Promise<Entered> {
    this.entered.push({ sessionId, caller })
    if (this.instead) return this.instead()
    this.held += 1
    const release = (refused?: boolean): void => {
      this.held -= 1
      if (refused) this.refusals += 1
    }
    return { outcome: 'entered', pod: this.pods.shift() ?? this.pod, release, ended: this.ended.promise }
  }

  async stop(_target: RuntimeTarget, _caller: Caller, sessionId: string, clientToken: string | undefined): Promise<'stopped' | 'unknown'> {
    this.stopped.push({ sessionId, clientToken })
    return sessionId.startsWith('ended') ? 'unknown' : 'stopped'
  }
}

/** What the cluster would say of each user, played: everybody may, and no token is known. */
export interface Played {
  rights: Rights
  tokens: ClusterTokens
  bearers: Bearers
}
const PLAYED: Played = {
  rights: { may: async () => ({ answer: true, stale: false }) },
  tokens: { isOurs: async () => false, userOf: async () => ({ answer: undefined, stale: false }) },
  bearers: { authorize: async () => ({ unavailable: true, code: 'Unreachable' }) },
}

/** Everything that a gateway is made of, but its HTTP face. */
export function partsWith(sessions: Sessions, pools: Pools, played: Partial<Played> = {}): ConstructorParameters<typeof Gateway>[2] {
  const { rights, tokens, bearers } = { ...PLAYED, ...played }
  const metrics = new GatewayMetrics()
  const keys = { find: (id: string) => (id === KEY.accessKeyId ? KEY : undefined) }
  return {
    sessions,
    pools,
    rights,
    authenticator: new Authenticator(systemClock, SCOPE, { keys, tokens, bearers }),
    limits: new Limits({ clock: systemClock }, { sessions: { byKey: () => undefined, count: () => 0 } }, metrics),
    metrics,
    activity: async () => [],
  }
}

export interface Served {
  gateway: Gateway
  sessions: PlayedSessions
  pools: Pools
  metrics: Pick<GatewayMetrics, 'exposition'>
  raw: RawGateway
  url: string
  spoolDirectory: string
  /** Requests that reached the agent. */
  reached: IncomingMessage[]
  /** Lines of the access log and others. */
  log: { level: string; message: string; [field: string]: unknown }[]
  client(): BedrockAgentCoreClient
}

export const answerOk: RequestListener = (request, response) => {
  request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}'))
}

/** Starts both; they end with the test. */
export async function serve(
  t: TestContext,
  agent: (request: IncomingMessage, response: ServerResponse) => void = answerOk,
  {
    allowHeaders,
    ready,
    rights,
    tokens,
    bearers,
    pools = new Pools('none'),
    ...options
  }: Partial<GatewayOptions & Played> & { allowHeaders?: string[]; ready?: Promise<void>; pools?: Pools } = {},
): Promise<Served> {
  const reached: IncomingMessage[] = []
  const server = createServer((request, response) => {
    reached.push(request)
    agent(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const pod = { uid: 'pod-1', sessionUID: 'session-1', address: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const sessions = new PlayedSessions(pod, runtimeOf(allowHeaders))
  if (ready) sessions.ready = ready
  const spoolDirectory = mkdtempSync(join(tmpdir(), 'carrel-spool-'))
  const log: Served['log'] = []
  const line =
    (level: string) =>
    (fields: object, message: string): void =>
      void log.push({ ...fields, level, message })
  const env = {
    clock: systemClock,
    random: systemRandom,
    log: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
  }
  const parts = partsWith(sessions, pools, {
    ...(rights ? { rights } : {}),
    ...(tokens ? { tokens } : {}),
    ...(bearers ? { bearers } : {}),
  })
  const gateway = new Gateway(
    env,
    {
      ...SCOPE,
      host: '127.0.0.1',
      port: 0,
      hosts: ['127.0.0.1:PORT', 'localhost:PORT'],
      spoolDirectory,
      spoolLimits: { perKeyBytes: 1e9, perAddressBytes: 1e9, totalBytes: 1e9 },
      ...options,
    },
    parts,
  )
  const { port } = await gateway.listen()
  if (!ready) await sessions.ready
  const url = `http://127.0.0.1:${port}`
  const raw = new RawGateway(url, SIGNING)
  t.after(async () => {
    raw.close()
    server.closeAllConnections()
    server.close()
    await gateway.drain(0)
    rmSync(spoolDirectory, { recursive: true, force: true })
  })
  const client = (): BedrockAgentCoreClient =>
    new BedrockAgentCoreClient({ region: SCOPE.region, endpoint: url, credentials: SIGNING, maxAttempts: 1 })
  return { gateway, sessions, pools, metrics: parts.metrics, raw, url, spoolDirectory, reached, log, client }
}

/** Names in the spool folder: there are never any, since files lose theirs at once. */
export function spooled({ spoolDirectory }: Served): string[] {
  return readdirSync(spoolDirectory)
}
