import type { AgentRuntimeSpec } from '../../crds/agent-runtime.ts'
import type { OperatorSettings } from '../settings.ts'

export interface Refusal {
  reason: string
  message: string
}

/** Design 2: an artifact that this installation cannot run is not Accepted, and says what to do. */
export function refusalOf({ artifact }: Pick<AgentRuntimeSpec, 'artifact'>, settings: OperatorSettings): Refusal | undefined {
  if (settings.artifacts === 'code' && artifact.code === undefined)
    return {
      reason: 'ArtifactNotSupported',
      message: 'this installation runs code directories as processes: add spec.artifact.code with a directory and a command',
    }
  if (settings.artifacts === 'container' && artifact.container === undefined)
    return { reason: 'ArtifactNotSupported', message: 'this installation runs container images: add spec.artifact.container with an image' }
  return undefined
}
