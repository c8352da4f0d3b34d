import { isAbsolute, resolve } from 'node:path'
import { AGENT_CONTAINER, CODE_DIRECTORY_ANNOTATION } from '../../crds/agent-session.ts'
import type { Pod } from '../../kube/objects.ts'
import type { PodPlan } from './process-host.ts'

/** Kubernetes' own default. */
const DEFAULT_GRACE_SECONDS = 30

export type Planned = { plan: PodPlan } | { refused: string; message: string }

/** What a pod asks of this kubelet, or why it cannot run here: it runs code, never images. */
export function planOf(pod: Pod, installation: { workingDirectory: string; region: string }): Planned {
  const container = pod.spec?.containers.find(({ name }) => name === AGENT_CONTAINER)
  const directory = pod.metadata.annotations?.[CODE_DIRECTORY_ANNOTATION]
  if (container === undefined) return refuse('NoAgentContainer', `the pod has no container named ${AGENT_CONTAINER}`)
  if (!directory) {
    return refuse(
      'NoCode',
      'this installation runs sessions as processes and has no code for this pod: set spec.artifact.code of its AgentRuntime',
    )
  }
  const command = [...(container.command ?? []), ...(container.args ?? [])]
  if (command.length === 0) return refuse('NoCommand', 'the pod names no command: set spec.artifact.code.command of its AgentRuntime')

  const environment: Record<string, string> = {}
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (valueFrom)
      return refuse('CreateContainerConfigError', `environment ${name}: valueFrom is not supported by this installation; give a value`)
    environment[name] = value ?? ''
  }
  return {
    plan: {
      uid: pod.metadata.uid!,
      namespace: pod.metadata.namespace!,
      name: pod.metadata.name,
      directory: isAbsolute(directory) ? directory : resolve(installation.workingDirectory, directory),
      command,
      environment,
      region: installation.region,
      ports: (container.ports ?? []).map(({ containerPort }) => containerPort),
      gracePeriodMs: (pod.spec?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) * 1000,
      activeDeadlineMs: pod.spec?.activeDeadlineSeconds === undefined ? undefined : pod.spec.activeDeadlineSeconds * 1000,
    },
  }
}

function refuse(refused: string, message: string): Planned {
  return { refused, message }
}
