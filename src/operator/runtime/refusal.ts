import type { AgentRuntimeSpec } from '../../crds/agent-runtime.ts'
import type { OperatorSettings } from '../settings.ts'

export interface Refusal {
  reason: string
  message: string
}

/** Design 2: a runtime that this installation cannot run, or does not allow, is not Accepted, and says what to do. */
export function refusalOf(
  { artifact, runtimeClassName }: Pick<AgentRuntimeSpec, 'artifact' | 'runtimeClassName'>,
  namespace: string,
  settings: OperatorSettings,
): Refusal | undefined {
  if (settings.sessionNamespaces.length > 0 && !settings.sessionNamespaces.includes(namespace))
    return {
      reason: 'NamespaceNotServed',
      message: `this installation serves the namespaces ${settings.sessionNamespaces.join(', ')}: use one of them, or have ${namespace} added to sessionNamespaces`,
    }
  if (settings.artifacts === 'code' && artifact.code === undefined)
    return {
      reason: 'ArtifactNotSupported',
      message: 'this installation runs code directories as processes: add spec.artifact.code with a directory and a command',
    }
  if (settings.artifacts === 'container' && artifact.container === undefined)
    return { reason: 'ArtifactNotSupported', message: 'this installation runs container images: add spec.artifact.container with an image' }
  if (settings.artifacts === 'container' && runtimeClassName !== undefined && !classesOf(settings).includes(runtimeClassName))
    return {
      reason: 'RuntimeClassNotAllowed',
      message: `runtimeClassName ${runtimeClassName} is not allowed here: ${choiceOf(classesOf(settings))}`,
    }
  return undefined
}

function classesOf({ defaultRuntimeClass, runtimeClasses }: OperatorSettings): string[] {
  return [...new Set([defaultRuntimeClass, ...runtimeClasses])].filter((name) => name !== '')
}

function choiceOf(allowed: string[]): string {
  return allowed.length > 0 ? `name one of ${allowed.join(', ')}, or none for the default` : 'leave spec.runtimeClassName out'
}
