import { AGENT_RUNTIMES } from '../../crds/agent-runtime.ts'
import { uuid } from '../../env/random.ts'
import { KubeClient } from '../../kube/client.ts'
import { signed } from '../../sigv4/sign.ts'
import { isAmazons } from '../activity.ts'
import type { CliEnv, Posted } from '../env.ts'
import { CommandFailure, explained, misuse } from '../failure.ts'
import { harmlessLine } from '../logs/line.ts'
import { scopeOf } from '../sessions/fetch.ts'

export interface InvokeOptions {
  kubeconfig?: string
  namespace?: string
  url?: string
  session?: string
  payload: string
  qualifier?: string
}

const SESSION_HEADER = 'x-amzn-bedrock-agentcore-runtime-session-id'
const LONGEST_REFUSAL_CHARACTERS = 2_000
const DEFAULT_URL = 'http://127.0.0.1:8700'
const ARN = /^arn:aws:bedrock-agentcore:([a-z0-9-]+):[0-9]{12}:runtime\/[A-Za-z0-9_-]+$/

/**
 * One call of an agent, as an AWS SDK makes it (InvokeAgentRuntime, contract 2.1), signed with the key of the shell. The answer
 * goes to standard output as it comes, the session id to standard error.
 */
export async function invoke(env: CliEnv, runtime: string, options: InvokeOptions): Promise<void> {
  const key = keyOf(env.variables)
  const url = gatewayOf(env, options)
  const body = options.payload === '-' ? await env.input() : Buffer.from(options.payload)
  const arn = ARN.test(runtime) ? runtime : await arnOf(env, runtime, options)
  const sessionId = options.session ?? `carrel-${uuid(env.random)}`
  // Contract 2.1.
  if (sessionId.length < 33 || sessionId.length > 256 || !/^[\x20-\x7e]+$/.test(sessionId)) {
    throw misuse(`--session has 33 to 256 printable characters; this one has ${sessionId.length}. Leave it out for a new session`)
  }
  const target = new URL(`${url}/runtimes/${encodeURIComponent(arn)}/invocations`)
  if (options.qualifier !== undefined) target.searchParams.set('qualifier', options.qualifier)
  const unsigned = { 'content-type': 'application/json', accept: '*/*', [SESSION_HEADER]: sessionId }
  const region = ARN.exec(arn)![1]!
  const headers = signed({ method: 'POST', url: target, headers: unsigned, body }, key, { region, nowMs: env.clock.now() })
  const answer = await env.post(target, { headers, body })
  const answered = answer.headers[SESSION_HEADER] ?? sessionId
  env.screen.note(`session ${answered}`)
  if (answer.status >= 300) throw new CommandFailure(await refusalIn(answer, answered))
  await streamTo(env, answer.body)
}

function keyOf(variables: CliEnv['variables']): { accessKeyId: string; secretAccessKey: string } {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = variables
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey }
  throw new CommandFailure('no access key is in this shell. Make one: eval "$(carrel keys create --user NAME -o env)"')
}

/** The variable of the SDKs may name Amazon's own endpoint, and the shell Amazon's own key: nobody is called there by mistake. */
function gatewayOf({ variables }: CliEnv, options: InvokeOptions): string {
  const named = options.url ?? variables['AWS_ENDPOINT_URL_BEDROCK_AGENTCORE'] ?? DEFAULT_URL
  if (!URL.canParse(named) || !/^https?:$/.test(new URL(named).protocol)) throw misuse(`${JSON.stringify(named)} is no URL of a gateway`)
  if (isAmazons(new URL(named))) {
    throw new CommandFailure(
      'AWS_ENDPOINT_URL_BEDROCK_AGENTCORE names Amazon, and a key of Carrel is none of it: name your gateway with --url',
    )
  }
  return named.replace(/\/+$/, '')
}

async function arnOf(env: CliEnv, name: string, options: InvokeOptions): Promise<string> {
  const cluster = env.cluster(options)
  const namespace = scopeOf({ ...options, runtime: name }, cluster).namespace!
  try {
    const { status } = await new KubeClient(cluster.kubernetes).get(AGENT_RUNTIMES, namespace, name)
    if (status?.agentRuntimeArn) return status.agentRuntimeArn
  } catch (error) {
    const needed = { verbs: 'get', resource: 'agentruntimes.carrel.dev', namespace }
    throw noSuchRuntime(error, name, namespace) ?? explained(error, needed)
  }
  throw new CommandFailure(`AgentRuntime ${name} has no ARN yet: carrel describe ${name} -n ${namespace} says why`)
}

function noSuchRuntime(error: unknown, name: string, namespace: string): CommandFailure | undefined {
  // A cluster without the kind answers 404 too, in other words.
  if (!(error instanceof Error) || !error.message.includes(`"${name}" not found`)) return undefined
  return new CommandFailure(`there is no AgentRuntime ${name} in namespace ${namespace}: kubectl get agentruntimes -A lists them`)
}

/** The gateway's own words say what to do about it; of an agent that failed, its session has the story. */
async function refusalIn({ status, headers, body }: Posted, sessionId: string): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of body) parts.push(part)
  const text = Buffer.concat(parts).toString('utf8')
  const request = headers['x-amzn-requestid']
  const named = [headers['x-amzn-errortype'], request && `request ${request}`].filter(Boolean).join(', ')
  const why = messageIn(text) ?? text.slice(0, LONGEST_REFUSAL_CHARACTERS)
  const story = status === 424 ? `\nThe story of the session: carrel describe ${sessionId}` : ''
  return `answered ${status}${named ? ` (${named})` : ''}: ${why}${story}`
}

function messageIn(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    return typeof message === 'string' ? message : undefined
  } catch {
    return undefined
  }
}

/** Byte for byte into a file or pipe; on a terminal nothing that it would obey. */
async function streamTo({ screen }: CliEnv, body: AsyncIterable<Uint8Array>): Promise<void> {
  const decoder = new TextDecoder()
  let last = ''
  for await (const part of body) {
    if (screen.terminal === undefined) {
      screen.stream(part)
      continue
    }
    last = decoder.decode(part, { stream: true }).split('\n').map(harmlessLine).join('\n')
    screen.stream(last)
  }
  if (screen.terminal !== undefined && !last.endsWith('\n')) screen.stream('\n')
}
