import { AGENT_CONTAINER } from '../../crds/agent-session.ts'
import { KubeClient } from '../../kube/client.ts'
import { ApiError } from '../../kube/errors.ts'
import type { Pod } from '../../kube/objects.ts'
import { PODS } from '../../kube/resource.ts'
import type { Transport } from '../../kube/transport.ts'
import type { Field } from './page.ts'

/** The pod of a session as the API server has it; or why it is not shown. */
export type SeenPod = { pod: Pod | undefined } | { unknown: string }

/** Only the one with this UID: another may have its name now. */
export async function podOf(kubernetes: Transport, namespace: string, name: string | undefined, uid: string | undefined): Promise<SeenPod> {
  if (name === undefined) return { pod: undefined }
  try {
    const pod = await new KubeClient(kubernetes).find(PODS, namespace, name)
    return { pod: uid === undefined || pod?.metadata.uid === uid ? pod : undefined }
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return { unknown: 'not shown: you have no right to get pods here' }
    return { unknown: `not shown: ${(error as Error).message}` }
  }
}

export function podFields(seen: SeenPod, name: string | undefined): Field[] {
  if (name === undefined) return []
  if ('unknown' in seen) return [{ label: 'Name', value: `${name} (${seen.unknown})` }]
  const { pod } = seen
  if (pod === undefined) return [{ label: 'Name', value: `${name} (gone)` }]
  const { spec, status } = pod
  const agent = spec?.containers.find((container) => container.name === AGENT_CONTAINER)
  const ran = status?.containerStatuses?.find((container) => container.name === AGENT_CONTAINER)
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled')
  return [
    { label: 'Name', value: pod.metadata.name },
    { label: 'UID', value: pod.metadata.uid },
    { label: 'Node', value: spec?.nodeName ?? `none yet${scheduled?.message ? `: ${scheduled.message}` : ''}` },
    { label: 'Address', value: status?.podIP },
    { label: 'Runtime class', value: spec?.runtimeClassName },
    { label: 'Image', value: agent?.image },
    { label: 'Image id', value: ran?.imageID },
    ...(spec?.containers ?? []).map(({ name: container }): Field => containerField(pod, container)),
  ]
}

function containerField({ status }: Pod, name: string): Field {
  const { state } = status?.containerStatuses?.find((container) => container.name === name) ?? {}
  const label = `Container ${name}`
  if (state?.running) return { label, value: `running since ${state.running.startedAt ?? 'some time'}` }
  if (state?.waiting)
    return { label, value: [`waiting: ${state.waiting.reason}`, state.waiting.message].filter(Boolean).join(': '), tone: 'bad' }
  if (state?.terminated) {
    const { exitCode, reason, signal, message } = state.terminated
    const how = `ended with code ${exitCode}${signal ? ` (signal ${signal})` : ''}${reason ? `: ${reason}` : ''}`
    return { label, value: [how, message].filter(Boolean).join(': '), tone: exitCode === 0 ? undefined : 'bad' }
  }
  return { label, value: 'not started' }
}

export function podInJson({ spec, status }: Pod): object {
  return {
    node: spec?.nodeName ?? null,
    address: status?.podIP ?? null,
    phase: status?.phase ?? null,
    runtimeClass: spec?.runtimeClassName ?? null,
    containers: spec?.containers.map(({ name, image }) => ({ name, image: image ?? null })) ?? [],
  }
}
