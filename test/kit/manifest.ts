import { join } from 'node:path'
import { DEFAULT_LIMITS, type AgentRuntime, type AgentRuntimeSpec } from '../../src/crds/agent-runtime.ts'
import type { CustomJWT } from '../../src/crds/authorizer.ts'
import { DEFAULT_RESOURCES } from '../../src/crds/resources.ts'
import { DEFAULT_SECURITY_CONTEXT } from '../../src/crds/security-context.ts'

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
  stopGraceSeconds?: number
  resources?: AgentRuntimeSpec['resources']
  securityContext?: Partial<AgentRuntimeSpec['securityContext']>
  allowHeaders?: string[]
  sessionOwnership?: 'Caller' | 'Runtime'
  limits?: Partial<AgentRuntimeSpec['limits']>
  customJWT?: CustomJWT
  endpoints?: AgentRuntimeSpec['endpoints']
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
        container: { image: `carrel-test-${agent}:latest`, command, imagePullPolicy: 'IfNotPresent' },
      },
      protocol: 'HTTP',
      lifecycle: { idleTimeoutSeconds, maxLifetimeSeconds, stopGraceSeconds: options.stopGraceSeconds ?? 4 },
      resources: options.resources ?? DEFAULT_RESOURCES,
      securityContext: { ...DEFAULT_SECURITY_CONTEXT, ...options.securityContext },
      startTimeoutSeconds: options.startTimeoutSeconds ?? 45,
      sessionOwnership: options.sessionOwnership ?? 'Caller',
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      ...(options.customJWT ? { authorizer: { customJWT: options.customJWT } } : {}),
      ...(options.endpoints ? { endpoints: options.endpoints } : {}),
      ...(environment ? { environment: Object.entries(environment).map(([key, value]) => ({ name: key, value })) } : {}),
      ...(options.allowHeaders ? { requestHeaders: { allow: options.allowHeaders } } : {}),
    },
  }
}
