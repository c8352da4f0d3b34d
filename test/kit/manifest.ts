import { join } from 'node:path'
import type { AgentRuntime } from '../../src/crds/agent-runtime.ts'

const AGENTS = join(import.meta.dirname, '..', 'agents')

export interface ManifestOptions {
  agent?: 'probe' | 'python-probe'
  /** Of the code, when it is not that of the agent in test/agents. */
  directory?: string
  command?: string[]
  environment?: Record<string, string>
  idleTimeoutSeconds?: number
  maxLifetimeSeconds?: number
  startTimeoutSeconds?: number
  allowHeaders?: string[]
}

/** An AgentRuntime of a test agent, runnable as code and as a container. */
export function runtimeManifest(name: string, options: ManifestOptions = {}): AgentRuntime {
  const {
    agent = 'probe',
    command = agent === 'probe' ? ['node', 'agent.ts'] : ['python', 'agent.py'],
    environment,
    idleTimeoutSeconds = 900,
    maxLifetimeSeconds = 28_800,
  } = options
  return {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentRuntime',
    metadata: { name, namespace: 'default' },
    spec: {
      artifact: {
        code: { directory: options.directory ?? join(AGENTS, agent), command },
        container: { image: `carrel-test-${agent}:latest` },
      },
      protocol: 'HTTP',
      lifecycle: { idleTimeoutSeconds, maxLifetimeSeconds },
      startTimeoutSeconds: options.startTimeoutSeconds ?? 45,
      ...(environment ? { environment: Object.entries(environment).map(([key, value]) => ({ name: key, value })) } : {}),
      ...(options.allowHeaders ? { requestHeaders: { allow: options.allowHeaders } } : {}),
    },
  }
}
