/** A cluster with Carrel that no other test file uses: what is done to its node is done to nobody else. */
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { after, type TestContext } from 'node:test'
import type { AgentRuntime, AgentRuntimeSpec } from '../../src/crds/agent-runtime.ts'
import type { AgentSession } from '../../src/crds/agent-session.ts'
import type { EndReason } from '../../src/sessions/end-reason.ts'
import { openBed } from '../kit/bed.ts'
import { eventually } from '../kit/eventually.ts'
import { HelmInstallation } from '../kit/helm-installation.ts'
import { runtimeManifest, type ManifestOptions } from '../kit/manifest.ts'
import { RawGateway, newSessionId } from '../kit/raw-gateway.ts'
import { needs, needsRoot } from '../kit/ring.ts'
import { errorOf, type WireError } from '../kit/wire-error.ts'
import type { Cluster } from './cluster.ts'

const REGISTRY_PORT = 5_000
/** Sooner than by default, and still not on a busy machine. */
const NODE_SILENT_AFTER_SECONDS = 20
const DEFAULT = '/api/v1/namespaces/default'

let opened: Promise<{ cluster: Cluster; registry: ChildProcess }> | undefined
after(async () => {
  const { cluster, registry } = (await opened) ?? {}
  registry?.kill('SIGKILL')
  await cluster?.stop()
})

async function open(): Promise<{ cluster: Cluster; registry: ChildProcess }> {
  const { bed, cluster } = await openBed({ nodeMonitorGraceSeconds: NODE_SILENT_AFTER_SECONDS })
  const file = join(bed.home, 'bed.json')
  writeFileSync(file, JSON.stringify(bed))
  process.env['CARREL_TEST_BED'] = file // of this process: the one that its installations are lent from
  const command = [process.execPath, join(import.meta.dirname, 'registry.ts'), String(REGISTRY_PORT)]
  const registry = spawn('setpriv', ['--pdeathsig', 'KILL', 'nsenter', `--net=${cluster.netns}`, ...command], { stdio: 'ignore' })
  return { cluster, registry }
}

export async function ownBed(t: TestContext): Promise<OwnBed | undefined> {
  if (!needsRoot(t) || !needs(t, 'CARREL_TEST_CONTROL_PLANE') || !needs(t, 'CARREL_TEST_NODE') || !needs(t, 'CARREL_TEST_HELM'))
    return undefined
  const { cluster } = await (opened ??= open())
  return new OwnBed(cluster, await HelmInstallation.lend(t))
}

/** An image that the registry of the node does not give. */
export const imageOf = (repository: string): string => `127.0.0.1:${REGISTRY_PORT}/${repository}:1`

/** Does what the payload's `do` says: eats memory, fills its disk. */
const AGENT = `
const { createServer } = require('node:http'), { appendFileSync } = require('node:fs'), { randomUUID } = require('node:crypto')
const boot = randomUUID(), kept = []
const orders = {
  eat: () => setInterval(() => kept.push(Buffer.alloc(2e7, 1)), 5),
  fill: () => setInterval(() => appendFileSync('/tmp/filled', Buffer.alloc(4e6)), 50),
}
createServer((request, response) => {
  response.setHeader('content-type', 'application/json')
  if (request.url === '/ping') return response.end('{"status":"Healthy"}')
  let body = ''
  request.on('data', (part) => (body += part)).on('end', () => {
    orders[JSON.parse(body).do]?.()
    response.end(JSON.stringify({ boot }))
  })
}).listen(8080)`

/** A runtime of a name, with the agent above. */
export function agentManifest(name: string, options: ManifestOptions = {}, spec: Partial<AgentRuntimeSpec> = {}): AgentRuntime {
  const manifest = runtimeManifest(name, { command: ['node', '-e', AGENT], ...options })
  return { ...manifest, spec: { ...manifest.spec, ...spec } }
}

export class OwnBed {
  readonly cluster: Cluster
  readonly installation: HelmInstallation

  constructor(cluster: Cluster, installation: HelmInstallation) {
    this.cluster = cluster
    this.installation = installation
  }

  /** A session of the runtime that has been seen to run, and who it is. */
  async running(manifest: AgentRuntime): Promise<Running> {
    const { installation } = this
    const arn = await installation.apply(manifest)
    const sessionId = newSessionId()
    const { boot } = await installation.gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })
    const session = await eventually(
      async () => {
        const now = await installation.session(sessionId)
        return now?.status?.phase === 'Running' && now
      },
      { withinMs: 20_000, because: 'the session runs' },
    )
    return { arn, sessionId, boot, podName: session.status!.podName!, podUID: session.status!.podUID! }
  }

  /** How a session's first incarnation has ended. */
  ended(sessionId: string, reason: EndReason, withinMs = 60_000): Promise<AgentSession> {
    return eventually(
      async () => {
        const session = await this.installation.session(sessionId)
        if (session?.status?.phase !== 'Terminated') return undefined
        if (session.status.endReason === reason) return session
        throw new Error(`it ended as ${session.status.endReason}: ${session.status.endMessage}`)
      },
      { withinMs, because: `session ${sessionId} ends as ${reason}` },
    )
  }

  /** One call, no retries: the next incarnation answers. */
  async reopens({ arn, sessionId, boot }: Running): Promise<void> {
    const next = await this.installation.gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })
    if (next.boot === boot) throw new Error('the same agent answered')
    const session = await this.installation.session(sessionId)
    if (session?.spec.incarnation !== 2) throw new Error(`one call opened incarnation ${session?.spec.incarnation}`)
  }

  /** A first call that fails: its answer, the record that is kept, and how long after kubelet's word it was told. */
  async refused(manifest: AgentRuntime): Promise<Refused> {
    const arn = await this.installation.apply(manifest)
    const sessionId = newSessionId()
    const error = errorOf(await this.installation.gateway.invoke(arn, sessionId, { do: 'boot' }))
    const toldAtMs = Date.now()
    const session = (await this.installation.session(sessionId))!
    const events = await this.#warningsOf(`${session.metadata.name}-1`)
    const knownAtMs = Math.min(...events.map(({ firstTimestamp }) => Date.parse(firstTimestamp)))
    const warnings = events.map(({ firstTimestamp, reason, message }) => `${firstTimestamp} ${reason}: ${message}`)
    return { error, session, toldAfterMs: toldAtMs - knownAtMs, warnings: [...warnings, `${new Date(toldAtMs).toISOString()} told`] }
  }

  /** Of one gateway's pod, past its Service. */
  async gatewayByAddress(): Promise<RawGateway> {
    const { api, env } = this.installation
    const path = '/api/v1/namespaces/carrel-system/pods?labelSelector=carrel.dev%2Fpart%3Dgateway'
    const { body } = await api.call<{ items: { status: { podIP: string } }[] }>('GET', path)
    const keys = { accessKeyId: env['AWS_ACCESS_KEY_ID']!, secretAccessKey: env['AWS_SECRET_ACCESS_KEY']!, region: env['AWS_REGION']! }
    return new RawGateway(`http://${body.items[0]!.status.podIP}:8700`, keys)
  }

  /** The node, and with it what runs on it. */
  async untilReady(): Promise<void> {
    await eventually(
      async () => {
        const { body } = await this.installation.api.call<{ spec: { taints?: unknown[] } }>('GET', `/api/v1/nodes/${this.cluster.nodeName}`)
        return body.spec.taints === undefined
      },
      { withinMs: 60_000, because: 'the node is ready, and nothing is kept away from it' },
    )
  }

  /** Kubelet's; their times are to the second, rounded down. */
  async #warningsOf(podName: string): Promise<{ firstTimestamp: string; reason: string; message: string }[]> {
    const selector = encodeURIComponent(`involvedObject.name=${podName},type=Warning`)
    const { body } = await this.installation.api.call<{ items: { firstTimestamp: string | null; reason: string; message: string }[] }>(
      'GET',
      `${DEFAULT}/events?fieldSelector=${selector}`,
    )
    return body.items.flatMap(({ firstTimestamp, ...event }) => (firstTimestamp ? [{ ...event, firstTimestamp }] : []))
  }
}

export interface Refused {
  error: WireError
  session: AgentSession
  /** From kubelet's first warning. */
  toldAfterMs: number
  /** And when the call was answered, for people. */
  warnings: string[]
}

export interface Running {
  arn: string
  sessionId: string
  boot: string
  podName: string
  podUID: string
}
