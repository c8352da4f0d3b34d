/** Adapter: applies the example and makes the first call, as a user would. */
import { readFileSync } from 'node:fs'
import { request } from 'undici'
import { parse } from 'yaml'
import { AGENT_RUNTIMES, type AgentRuntime } from '../../crds/agent-runtime.ts'
import { sleep } from '../../env/clock.ts'
import type { Env } from '../../env/env.ts'
import { uuid } from '../../env/random.ts'
import type { AccessKey } from '../../gateway/auth/access-keys.ts'
import { SESSION_HEADER } from '../../gateway/http/headers-in.ts'
import type { KubeClient } from '../../kube/client.ts'
import { signed } from '../../sigv4/sign.ts'

const MANIFEST = new URL('../../../examples/hello/runtime.yaml', import.meta.url)
const READY_WITHIN_MS = 10_000
const CALL_WITHIN_MS = 60_000

/** Creates or updates the runtime of the example and waits until it is Ready. Throws with its condition when it is not. */
export async function applyHello(env: Env, admin: KubeClient): Promise<AgentRuntime> {
  const manifest = parse(readFileSync(MANIFEST, 'utf8')) as AgentRuntime
  const wanted: AgentRuntime = { ...manifest, metadata: { namespace: 'default', ...manifest.metadata } }
  const existing = await admin.find(AGENT_RUNTIMES, 'default', wanted.metadata.name)
  if (existing === undefined) await admin.create(AGENT_RUNTIMES, wanted)
  else await admin.replace(AGENT_RUNTIMES, { ...existing, spec: wanted.spec })

  const deadlineMs = env.clock.monotonic() + READY_WITHIN_MS
  for (;;) {
    const runtime = await admin.get(AGENT_RUNTIMES, 'default', wanted.metadata.name)
    const ready = runtime.status?.conditions?.find(({ type }) => type === 'Ready')
    if (ready?.status === 'True' && runtime.status?.observedGeneration === runtime.metadata.generation) return runtime
    if (ready?.status === 'False' || env.clock.monotonic() > deadlineMs)
      throw new Error(`the example is not ready: ${ready?.message ?? 'no condition yet'}`)
    await sleep(env.clock, 20)
  }
}

export interface FirstCall {
  sessionId: string
  question: string
  status: number
  answer: string
  ms: number
}

/** InvokeAgentRuntime, signed as an AWS SDK signs it. */
export async function callHello(env: Env, gatewayUrl: string, arn: string, key: AccessKey, region: string): Promise<FirstCall> {
  const sessionId = `hello-${uuid(env.random)}`
  const question = JSON.stringify({ prompt: 'Is anybody there?' })
  const url = new URL(`${gatewayUrl}/runtimes/${encodeURIComponent(arn)}/invocations`)
  const headers = signed(
    { method: 'POST', url, headers: { 'content-type': 'application/json', [SESSION_HEADER]: sessionId }, body: question },
    key,
    { region, nowMs: env.clock.now() },
  )
  const startedAtMs = env.clock.monotonic()
  const response = await request(url, { method: 'POST', headers, body: question, signal: AbortSignal.timeout(CALL_WITHIN_MS) })
  const answer = await response.body.text()
  return { sessionId, question, status: response.statusCode, answer, ms: Math.round(env.clock.monotonic() - startedAtMs) }
}
