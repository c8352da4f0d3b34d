import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BedrockAgentCoreClient } from '@aws-sdk/client-bedrock-agentcore'
import type { AgentRuntime } from '../../src/crds/agent-runtime.ts'
import type { AgentSession } from '../../src/crds/agent-session.ts'
import type { AuditLine } from '../control-plane/control-plane.ts'
import { eventually } from './eventually.ts'
import { ApiAccess } from './api-access.ts'
import { RawGateway } from './raw-gateway.ts'

const run = promisify(execFile)

export type Identity = 'admin' | 'operator' | 'gateway' | 'kubelet'

/** Where an installation can be tuned for a test, whatever it runs on. */
export interface Tuning {
  /** Flags of `npm start`. */
  args?: string[]
  /** Added to this process's own, for `npm start`. */
  environment?: Record<string, string>
}

/** A running installation, spoken to over its ports as users do. `npm start` gives one, the Helm chart on a cluster another. */
export abstract class Installed {
  /** A folder of its own, with `env` for shells in it. */
  readonly home: string
  readonly api: ApiAccess
  readonly gateway: RawGateway
  /** What `source <home>/env` exports. */
  readonly env: Record<string, string>

  protected constructor(home: string) {
    this.home = home
    this.env = exportsOf(join(home, 'env'))
    this.api = new ApiAccess(this.env['KUBECONFIG']!)
    this.gateway = new RawGateway(this.env['CARREL_GATEWAY_URL']!, {
      accessKeyId: this.env['AWS_ACCESS_KEY_ID']!,
      secretAccessKey: this.env['AWS_SECRET_ACCESS_KEY']!,
      region: this.env['AWS_REGION']!,
    })
  }

  /** Path of the kubeconfig of a part, or of the administrator. */
  abstract kubeconfigOf(identity: Identity): string
  /** The processes that gateways are in, as this machine numbers them. */
  abstract gatewayPids(): number[]
  /** Every line that a gateway has logged. */
  abstract gatewayLog(): Promise<string[]>
  /** All that the parts of Carrel have told anybody. */
  abstract everyLog(): Promise<string>
  /** Lines of the API server's audit log. */
  abstract audit(): AuditLine[]
  /** pids of agents, as this machine numbers them: of one pod, or of all. */
  abstract agents(podUID?: string): number[]
  /** How this machine numbers the process that an agent of the session knows as `pid`. */
  abstract pidHere(sessionId: string, pid: number): Promise<number>
  /** Everything that a session could leave behind: objects, processes, files; not events, logs of Carrel, audit, resourceVersion. */
  abstract remains(): Promise<string[]>

  client(): BedrockAgentCoreClient {
    return new BedrockAgentCoreClient({
      region: this.env['AWS_REGION']!,
      endpoint: this.env['AWS_ENDPOINT_URL_BEDROCK_AGENTCORE']!,
      credentials: { accessKeyId: this.env['AWS_ACCESS_KEY_ID']!, secretAccessKey: this.env['AWS_SECRET_ACCESS_KEY']! },
      maxAttempts: 1,
    })
  }

  /** Applies the manifest and waits until it can be called. Answers its ARN. */
  async apply(manifest: AgentRuntime): Promise<string> {
    const path = `/apis/carrel.dev/v1alpha1/namespaces/${manifest.metadata.namespace}/agentruntimes`
    const created = await this.api.call('POST', path, manifest)
    if (created.status !== 201) throw new Error(`apply: ${JSON.stringify(created.body)}`)
    const ready = await eventually(
      async () => {
        const { body } = await this.api.call<AgentRuntime>('GET', `${path}/${manifest.metadata.name}`)
        return body.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') && body
      },
      { withinMs: 15_000, because: `runtime ${manifest.metadata.name} is ready` },
    )
    return ready.status!.agentRuntimeArn!
  }

  async sessions(): Promise<AgentSession[]> {
    return (await this.api.call<{ items: AgentSession[] }>('GET', '/apis/carrel.dev/v1alpha1/agentsessions')).body.items
  }

  async session(sessionId: string): Promise<AgentSession | undefined> {
    return (await this.sessions()).find(({ spec }) => spec.sessionId === sessionId)
  }

  /** Where the session's agent listens. */
  async addressOf(sessionId: string): Promise<string> {
    const session = await this.session(sessionId)
    const { body } = await this.api.call<{ status: { podIP: string } }>(
      'GET',
      `/api/v1/namespaces/default/pods/${session?.status?.podName}`,
    )
    return body.status.podIP
  }

  /** How many pods were made, by the audit log. */
  podCreates(): number {
    return this.audit().filter(
      ({ verb, objectRef, responseStatus }) =>
        verb === 'create' && objectRef?.resource === 'pods' && !objectRef.subresource && responseStatus.code === 201,
    ).length
  }

  /** kubectl with this installation's kubeconfig. */
  async kubectl(kubectl: string, ...parameters: string[]): Promise<{ stdout: string; stderr: string; code: number }> {
    const options = {
      env: { ...process.env, KUBECONFIG: this.env['KUBECONFIG'], HOME: this.home },
      timeout: 60_000,
      maxBuffer: 16 * 1024 * 1024,
    }
    try {
      return { ...(await run(kubectl, parameters, options)), code: 0 }
    } catch (error) {
      const { stdout = '', stderr = '', code = 1 } = error as { stdout?: string; stderr?: string; code?: number }
      return { stdout, stderr, code }
    }
  }

  /** A Python script in a shell full of left-overs of another AWS set-up, after `source <home>/env`. Its JSON output. */
  async python<Answer>(python: string, script: string, ...parameters: string[]): Promise<Answer> {
    const shell = [
      'export AWS_PROFILE=left-over AWS_DEFAULT_PROFILE=left-over AWS_ACCESS_KEY_ID=AKIAOTHER AWS_SECRET_ACCESS_KEY=other AWS_SESSION_TOKEN=stale',
      'export AWS_REGION=eu-west-3 AWS_DEFAULT_REGION=eu-west-3 AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true HTTP_PROXY=http://127.0.0.1:9 http_proxy=http://127.0.0.1:9',
      `. '${join(this.home, 'env')}'`,
      'exec "$0" "$@"',
    ].join('\n')
    const { stdout } = await run('bash', ['-c', shell, python, script, ...parameters], { timeout: 120_000, maxBuffer: 64 * 1024 * 1024 })
    return JSON.parse(stdout) as Answer
  }

  protected async close(): Promise<void> {
    this.gateway.close()
    await this.api.close()
  }
}

export function exportsOf(path: string): Record<string, string> {
  const lines = readFileSync(path, 'utf8').split('\n')
  const found = lines.map((line) => /^export (\w+)='(.*)'$/.exec(line)).filter((match) => match !== null)
  return Object.fromEntries(found.map(([, name, value]) => [name!, value!.replaceAll(`'\\''`, "'")]))
}
