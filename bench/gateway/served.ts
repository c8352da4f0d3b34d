/**
 * Adapter: an agent's open session that a bench can call: by the gateway with a signature, by the gateway with a token, directly,
 * and by nginx.
 */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { IdentityProvider } from '../../test/kit/identity-provider.ts'
import { LocalInstallation } from '../../test/kit/local-installation.ts'
import { runtimeManifest, type ManifestOptions } from '../../test/kit/manifest.ts'
import { newSessionId } from '../../test/kit/raw-gateway.ts'
import { startNginx, type Nginx } from './nginx.ts'
import { startPart, type Part } from './parts.ts'
import { Exchange } from './exchange.ts'
import type { Way } from './load.ts'
import { agentRequest, bearerRequest, signedRequests, type Session } from './requests.ts'

const AUDIENCE = 'bench'
const AGENT_PORT = 8080
/** None of them is reached by a bench. */
const RAISED = { sessions: 1_000_000, sessionsPerOwner: 1_000_000, newSessionsPerSecond: 10_000, callsPerSecondPerOwner: 100_000 }
const TOKEN_SECONDS = 3_600
const HEAP_REPORT = join(import.meta.dirname, 'heap-report.ts')

export interface Served {
  gateway: Part
  nginx: Nginx | undefined
  /** Where the gateway writes what it keeps, when it is asked (heap-report.ts). */
  heapFile: string
  /** Calls of as many callers that never called before, each refused with 402. */
  strangers(count: number): Promise<Buffer[]>
  /** Whole requests with that payload; signed now, which is good for minutes. */
  ways(payload: string): Promise<Record<'sigv4' | 'jwt' | 'direct' | 'nginx', Way>>
  stop(): Promise<void>
}

export interface ServedOptions {
  /** Path of nginx's binary; without it, no nginx. */
  nginx?: string | undefined
  /** Default false. */
  reportsHeap?: boolean
}

export async function serveAgent(options: ServedOptions): Promise<Served> {
  const stops: (() => Promise<void> | void)[] = []
  const stop = async (): Promise<void> => {
    for (const one of stops.toReversed()) await one()
  }
  try {
    return await build(options, stops, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

async function build(
  { nginx: nginxBinary, reportsHeap = false }: ServedOptions,
  stops: (() => Promise<void> | void)[],
  stop: () => Promise<void>,
): Promise<Served> {
  const home = mkdtempSync(join(tmpdir(), 'carrel-bench-home-'))
  stops.push(() => rmSync(home, { recursive: true, force: true }))
  const provider = await IdentityProvider.start()
  stops.push(() => provider.stop())
  const installation = await LocalInstallation.launch({ home, args: ['--only-api'] })
  stops.push(() => installation.stop().then(() => {}))
  const heapFile = join(home, 'heap.json')
  const gateway = await startParts(installation, provider, reportsHeap ? heapFile : undefined, stops)

  const customJWT = { discoveryUrl: provider.discoveryUrl, allowedAudience: [AUDIENCE] }
  const sessionOf = async (wanted: AgentRuntime): Promise<Session> => ({
    arn: await installation.apply(wanted),
    sessionId: newSessionId(),
  })
  const own = await sessionOf(manifest('signed'))
  const bearer = await sessionOf(manifest('bearer', { customJWT }))
  const full = await sessionOf(manifest('full', { customJWT, limits: { ...RAISED, sessions: 1 } }))
  const tokenOf = (sub: string): Promise<string> => provider.token({ sub, aud: AUDIENCE }, { expiresInSeconds: TOKEN_SECONDS })
  const token = await tokenOf('a-caller')
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION } = installation.env
  const signing = { accessKeyId: AWS_ACCESS_KEY_ID!, secretAccessKey: AWS_SECRET_ACCESS_KEY!, region: AWS_REGION! }
  const host = `127.0.0.1:${gateway.port}`
  const first = [signedRequests(host, own, signing, '{}')[0]!, ...[bearer, full].map((one) => bearerRequest(host, one, token, '{}'))]
  for (const request of first) await expectOk(gateway.port, request)
  const agent = { address: await installation.addressOf(own.sessionId), port: AGENT_PORT }
  const nginx = nginxBinary === undefined ? undefined : await startNginx(nginxBinary, agent)
  if (nginx) stops.push(() => nginx.stop())

  const stranger = async (): Promise<Buffer> => Buffer.from(bearerRequest(host, full, await tokenOf(randomUUID()), '{}'), 'base64')
  return {
    gateway,
    nginx,
    heapFile,
    stop,
    strangers: (count) => Promise.all(Array.from({ length: count }, stranger)),
    async ways(payload) {
      const plain = [agentRequest(host, own, payload)]
      return {
        sigv4: { host: '127.0.0.1', port: gateway.port, requests: signedRequests(host, own, signing, payload) },
        jwt: { host: '127.0.0.1', port: gateway.port, requests: [bearerRequest(host, bearer, token, payload)] },
        direct: { host: agent.address, port: agent.port, requests: plain },
        nginx: { host: '127.0.0.1', port: nginx?.port ?? 0, requests: plain },
      }
    },
  }
}

/** Operator and gateway; answers the gateway. */
async function startParts(
  installation: LocalInstallation,
  provider: IdentityProvider,
  heapFile: string | undefined,
  stops: (() => Promise<void> | void)[],
): Promise<Part> {
  const { home } = installation
  const oidc = ['--oidc-trusted-issuers', provider.issuer, '--oidc-ca-file', provider.caFile]
  const ofOperator = ['--kubeconfig', installation.kubeconfigOf('operator'), '--artifacts', 'code', ...oidc]
  const operator = await startPart('operator', ofOperator, join(home, 'bench-operator.log'))
  stops.push(() => operator.stop())
  const listen = ['--host', '127.0.0.1', '--port', '0', '--spool-directory', join(home, 'spool'), '--proof', 'none']
  const gateway = await startPart(
    'gateway',
    ['--kubeconfig', installation.kubeconfigOf('gateway'), ...listen, ...oidc],
    join(home, 'bench-gateway.log'),
    heapFile === undefined ? {} : { execArgv: ['--expose-gc', '--import', HEAP_REPORT], env: { CARREL_BENCH_HEAP: heapFile } },
  )
  stops.push(() => gateway.stop())
  return gateway
}

function manifest(name: string, options: ManifestOptions = {}): AgentRuntime {
  return runtimeManifest(name, { directory: join(import.meta.dirname, 'agent'), limits: RAISED, ...options })
}

async function expectOk(port: number, request: string): Promise<void> {
  const exchange = await Exchange.open('127.0.0.1', port)
  const { status } = await exchange.send(Buffer.from(request, 'base64'))
  exchange.close()
  if (status !== 200) throw new Error(`the first call of a session was answered with ${status}`)
}
