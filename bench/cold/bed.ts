/** Adapter: a cluster with Carrel on it, as its chart installs it, and the doors through which a bench uses it. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS, type AgentSession } from '../../src/crds/agent-session.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { Transport } from '../../src/kube/transport.ts'
import type { AuditLine } from '../../test/control-plane/control-plane.ts'
import { openBed } from '../../test/kit/bed.ts'
import { eventually } from '../../test/kit/eventually.ts'
import { exportsOf } from '../../test/kit/installed.ts'
import { runtimeManifest } from '../../test/kit/manifest.ts'
import { RawGateway } from '../../test/kit/raw-gateway.ts'
import type { Signing } from '../gateway/requests.ts'

export const NAMESPACE = 'default'
/** The template of the bare pods is never called again. */
const LONGER_THAN_ANY_RUN_SECONDS = 28_800
/** Not reached by a bench. */
const RAISED = { callsPerSecondPerOwner: 100_000 }
const READY_WITHIN_MS = 30_000

export interface ColdBed {
  kubernetes: Transport
  client: KubeClient
  gateway: RawGateway
  signing: Signing
  /** Of the runtime that is called. */
  arn: string
  /** Path below each cgroup hierarchy under which the node's pods are. */
  cgroupRoot: string
  /** Where the audit log ends now, and what it says from such an end on. */
  auditMark(): number
  auditSince(mark: number): AuditLine[]
  session(sessionId: string): Promise<AgentSession | undefined>
  /** What became of a session whose call failed, for the error. */
  storyOf(sessionId: string): Promise<string>
  stop(): Promise<void>
}

/** With a runtime of the test agent. */
export async function openColdBed(): Promise<ColdBed> {
  const { bed, cluster } = await openBed()
  const transport = httpTransport(cluster.access)
  const env = exportsOf(join(bed.home, 'env'))
  const signing = { accessKeyId: env['AWS_ACCESS_KEY_ID']!, secretAccessKey: env['AWS_SECRET_ACCESS_KEY']!, region: env['AWS_REGION']! }
  const gateway = new RawGateway(env['CARREL_GATEWAY_URL']!, signing)
  const client = new KubeClient(transport)
  const session = async (sessionId: string): Promise<AgentSession | undefined> => {
    const { items } = await client.list(AGENT_SESSIONS, { namespace: NAMESPACE })
    return items.find(({ spec }) => spec.sessionId === sessionId)
  }
  const stop = async (): Promise<void> => {
    gateway.close()
    await transport.close()
    await cluster.stop()
  }
  try {
    return {
      kubernetes: transport,
      client,
      gateway,
      signing,
      arn: await arnOfRuntime(client),
      cgroupRoot: bed.cgroupRoot,
      auditMark: () => statSync(bed.auditFile).size,
      auditSince: (mark) => linesOf(readFileSync(bed.auditFile).subarray(mark)),
      session,
      storyOf: async (sessionId) => JSON.stringify((await session(sessionId))?.status ?? 'there is no such session'),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function arnOfRuntime(client: KubeClient): Promise<string> {
  const { metadata } = await client.create(
    AGENT_RUNTIMES,
    runtimeManifest('cold', { idleTimeoutSeconds: LONGER_THAN_ANY_RUN_SECONDS, limits: RAISED }),
  )
  const { status } = await eventually(
    async () => {
      const runtime = await client.get(AGENT_RUNTIMES, NAMESPACE, metadata.name)
      return runtime.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') && runtime
    },
    { withinMs: READY_WITHIN_MS, because: 'the runtime is ready' },
  )
  return status!.agentRuntimeArn!
}

/** Its first line may be the rest of one. */
function linesOf(bytes: Buffer): AuditLine[] {
  const lines = bytes.toString('utf8').split('\n')
  return lines.filter((line) => line.startsWith('{') && line.endsWith('}')).map((line) => JSON.parse(line) as AuditLine)
}
