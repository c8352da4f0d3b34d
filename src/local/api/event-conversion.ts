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

/** What the real server always sends, empty or not; what is empty is not stored. */
const ALWAYS = { involvedObject: {}, source: {}, firstTimestamp: null, lastTimestamp: null, eventTime: null }
const ALWAYS_IN_CORE = { ...ALWAYS, reportingComponent: '', reportingInstance: '' }

/** From core's face to the stored form, which is core's. */
export function fromCoreEvent({ apiVersion, kind, metadata, ...fields }: KubeObject): KubeObject {
  const said = Object.entries(fields).filter(([, value]) => !isEmpty(value))
  return { apiVersion, kind, metadata, ...Object.fromEntries(said) } as KubeObject
}

/** From the newer face, which does not know core's names. */
export function fromNewerEvent(event: KubeObject): KubeObject {
  const known = Object.entries(event).filter(([name]) => !(name in BACK))
  return fromCoreEvent(renamed(Object.fromEntries(known) as unknown as KubeObject, RENAMED, 'v1'))
}

export function toCoreEvent(event: KubeObject): KubeObject {
  return { ...ALWAYS_IN_CORE, ...event }
}

export function toNewerEvent(event: KubeObject): KubeObject {
  return renamed({ ...ALWAYS, ...event }, BACK, 'events.k8s.io/v1')
}

function isEmpty(value: unknown): boolean {
  return value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
}

function renamed(event: KubeObject, names: Record<string, string>, apiVersion: string): KubeObject {
  const fields = Object.entries(event).map(([key, value]) => [names[key] ?? key, value as unknown])
  return { ...(Object.fromEntries(fields) as KubeObject), apiVersion, kind: 'Event' }
}
