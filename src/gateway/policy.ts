import type { AgentRuntimeSpec } from '../crds/agent-runtime.ts'
import type { Policy } from './session-port.ts'

/** Of a version of a runtime, or of its spec, which is DEFAULT's. */
export function policyOf(version: Pick<AgentRuntimeSpec, 'authorizer' | 'requestHeaders' | 'startTimeoutSeconds'>): Policy {
  const { authorizer, requestHeaders, startTimeoutSeconds } = version
  return { allowedHeaders: requestHeaders?.allow ?? [], startTimeoutSeconds, ...(authorizer ? { authorizer } : {}) }
}
