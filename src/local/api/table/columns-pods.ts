import type { KubeObject, Pod } from '../../../kube/objects.ts'
import { ageOf } from './age.ts'
import type { TableColumn } from './column.ts'

type Containers = NonNullable<NonNullable<Pod['status']>['containerStatuses']>

const pod = (object: KubeObject): Pod => object as Pod

/** What `kubectl get pods` shows, computed as printers/internalversion's printPod does for pods without init containers. */
export const podColumns: readonly TableColumn[] = [
  { name: 'Name', type: 'string', format: 'name', cell: (object) => object.metadata.name },
  { name: 'Ready', type: 'string', description: 'Ready containers of all.', cell: (object) => readyOf(pod(object)) },
  { name: 'Status', type: 'string', description: 'Phase, or the reason that says more.', cell: (object) => statusOf(pod(object)) },
  { name: 'Restarts', type: 'string', cell: (object, nowMs) => restartsOf(pod(object), nowMs) },
  { name: 'Age', type: 'string', cell: (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs) },
  { name: 'IP', type: 'string', priority: 1, cell: (object) => pod(object).status?.podIP || '<none>' },
  { name: 'Node', type: 'string', priority: 1, cell: (object) => pod(object).spec?.nodeName || '<none>' },
  { name: 'Nominated Node', type: 'string', priority: 1, cell: (object) => pod(object).status?.nominatedNodeName || '<none>' },
  { name: 'Readiness Gates', type: 'string', priority: 1, cell: (object) => readinessGatesOf(pod(object)) },
]

const statusesOf = (of: Pod): Containers => of.status?.containerStatuses ?? []

function readyOf(of: Pod): string {
  const ready = statusesOf(of).filter((container) => container.ready && container.state?.running !== undefined)
  return `${ready.length}/${of.spec?.containers.length ?? 0}`
}

function statusOf(of: Pod): string {
  const { phase = 'Unknown', reason } = of.status ?? {}
  if (of.metadata.deletionTimestamp !== undefined) {
    if (reason === 'NodeLost') return 'Unknown'
    if (phase !== 'Succeeded' && phase !== 'Failed') return 'Terminating'
  }
  const said = containerReason(of) ?? (reason || phase)
  const hasRunning = statusesOf(of).some((container) => container.ready && container.state?.running !== undefined)
  if (said !== 'Completed' || !hasRunning) return said
  const ready = of.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
  return ready ? 'Running' : 'NotReady'
}

/** The first container that waits or has ended names the reason. */
function containerReason(of: Pod): string | undefined {
  for (const { state } of statusesOf(of)) {
    if (state?.waiting?.reason) return state.waiting.reason
    const ended = state?.terminated
    if (ended) return ended.reason || (ended.signal ? `Signal:${ended.signal}` : `ExitCode:${ended.exitCode}`)
  }
  return undefined
}

function restartsOf(of: Pod, nowMs: number): string {
  const restarts = statusesOf(of).reduce((sum, container) => sum + (container.restartCount ?? 0), 0)
  const ends = statusesOf(of).flatMap(({ lastState }) => lastState?.terminated?.finishedAt ?? [])
  return restarts > 0 && ends.length > 0 ? `${restarts} (${ageOf(ends.sort().at(-1), nowMs)} ago)` : String(restarts)
}

function readinessGatesOf(of: Pod): string {
  const gates = of.spec?.readinessGates ?? []
  if (gates.length === 0) return '<none>'
  const passed = gates.filter((gate) => of.status?.conditions?.some(({ type, status }) => type === gate.conditionType && status === 'True'))
  return `${passed.length}/${gates.length}`
}
