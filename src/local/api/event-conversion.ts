import type { KubeObject } from '../../kube/objects.ts'

/** events.k8s.io/v1 name → core/v1 name: two faces of one stored object, as in the real server. */
const RENAMED: Record<string, string> = {
  regarding: 'involvedObject',
  note: 'message',
  reportingController: 'reportingComponent',
  deprecatedSource: 'source',
  deprecatedFirstTimestamp: 'firstTimestamp',
  deprecatedLastTimestamp: 'lastTimestamp',
  deprecatedCount: 'count',
}
const BACK = Object.fromEntries(Object.entries(RENAMED).map(([newer, core]) => [core, newer]))

/** Stored and core form. */
export function toCoreEvent(event: KubeObject): KubeObject {
  return renamed(event, RENAMED, 'v1')
}

export function fromCoreEvent(event: KubeObject): KubeObject {
  return renamed(event, BACK, 'events.k8s.io/v1')
}

function renamed(event: KubeObject, names: Record<string, string>, apiVersion: string): KubeObject {
  const fields = Object.entries(event).map(([key, value]) => [names[key] ?? key, value as unknown])
  return { ...(Object.fromEntries(fields) as KubeObject), apiVersion, kind: 'Event' }
}
