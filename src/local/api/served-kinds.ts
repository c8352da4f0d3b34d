import { AGENT_RUNTIMES } from '../../crds/agent-runtime.ts'
import { AGENT_SESSIONS } from '../../crds/agent-session.ts'
import type { Kind } from '../../crds/define-kind.ts'
import { manifestOf } from '../../crds/manifest.ts'
import type { KubeObject } from '../../kube/objects.ts'
import { fromCoreEvent, fromNewerEvent, toCoreEvent, toNewerEvent } from './event-conversion.ts'
import type { FacedKind } from './faces.ts'

/** A kind as this server serves it. */
export interface ServedKind extends FacedKind {
  /** Where its objects are kept: two served kinds may be faces of one collection. */
  collection: string
  hasStatus: boolean
  /** Whether a change of anything but metadata and status raises metadata.generation. */
  hasGeneration: boolean
  /** Fields that a field selector may name, beside metadata.name and metadata.namespace; in the stored form. */
  selectableFields: readonly string[]
  /** False: memory only. */
  isKept: boolean
  isReadOnly: boolean
  /** Whether a PUT must say which resourceVersion it replaces. */
  needsResourceVersion: boolean
  /** Whether a PUT to a name that is free creates the object. */
  createsOnUpdate: boolean
  /** Of events the real server keeps no cache, so that a list from resourceVersion 0 has pages as any other. */
  isCached: boolean
  /** Whether a DELETE answers with the object rather than with a Status. */
  answersDeleted: boolean
  /** A question: a POST answers it, and nothing is stored. */
  isReview: boolean
  /** Carrel's own: validated by its schema. */
  definition?: Kind
  toStored: (object: KubeObject) => KubeObject
  toServed: (object: KubeObject) => KubeObject
}

type Given = Pick<FacedKind, 'group' | 'version' | 'kind' | 'plural'> & Partial<ServedKind>

const asIs = (object: KubeObject): KubeObject => object

function serve(given: Given): ServedKind {
  return {
    namespaced: true,
    collection: `${given.group || 'core'}/${given.plural}`,
    hasStatus: false,
    hasGeneration: false,
    selectableFields: [],
    isKept: true,
    isReadOnly: false,
    needsResourceVersion: false,
    createsOnUpdate: false,
    isCached: true,
    answersDeleted: false,
    isReview: false,
    toStored: asIs,
    toServed: asIs,
    ...given,
  }
}

const EVENT_FIELDS = ['kind', 'name', 'namespace', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
  (field) => `involvedObject.${field}`,
)
const events = {
  kind: 'Event',
  plural: 'events',
  collection: 'core/events',
  isKept: false,
  createsOnUpdate: true,
  isCached: false,
  selectableFields: [...EVENT_FIELDS, 'reason', 'type', 'reportingComponent'],
}

const rbac = { group: 'rbac.authorization.k8s.io', version: 'v1', createsOnUpdate: true }
const authentication = { group: 'authentication.k8s.io', version: 'v1', namespaced: false, isReview: true }
const authorization = { ...authentication, group: 'authorization.k8s.io' }

const own = [AGENT_RUNTIMES, AGENT_SESSIONS] as Kind[]

/** Carrel's kinds, and the built-in ones that Carrel uses. */
export const SERVED_KINDS: readonly ServedKind[] = [
  serve({
    group: '',
    version: 'v1',
    kind: 'Namespace',
    plural: 'namespaces',
    namespaced: false,
    hasStatus: true,
    selectableFields: ['status.phase'],
  }),
  serve({ group: '', version: 'v1', kind: 'Node', plural: 'nodes', namespaced: false, hasStatus: true }),
  serve({
    group: '',
    version: 'v1',
    kind: 'Pod',
    plural: 'pods',
    hasStatus: true,
    hasGeneration: true,
    answersDeleted: true,
    selectableFields: ['spec.nodeName', 'status.phase'],
  }),
  serve({ group: '', version: 'v1', kind: 'Secret', plural: 'secrets', selectableFields: ['type'] }),
  serve({ group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps' }),
  serve({ group: '', version: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', answersDeleted: true }),
  serve({ group: '', version: 'v1', ...events, toStored: fromCoreEvent, toServed: toCoreEvent }),
  serve({ group: 'events.k8s.io', version: 'v1', ...events, toStored: fromNewerEvent, toServed: toNewerEvent }),
  serve({ group: 'apps', version: 'v1', kind: 'ControllerRevision', plural: 'controllerrevisions' }),
  serve({
    group: 'coordination.k8s.io',
    version: 'v1',
    kind: 'Lease',
    plural: 'leases',
    needsResourceVersion: true,
    createsOnUpdate: true,
  }),
  serve({
    group: 'apiextensions.k8s.io',
    version: 'v1',
    kind: 'CustomResourceDefinition',
    plural: 'customresourcedefinitions',
    namespaced: false,
    isReadOnly: true,
    hasGeneration: true,
    isKept: false,
    hasStatus: true,
  }),
  serve({ ...rbac, kind: 'Role', plural: 'roles' }),
  serve({ ...rbac, kind: 'RoleBinding', plural: 'rolebindings' }),
  serve({ ...rbac, kind: 'ClusterRole', plural: 'clusterroles', namespaced: false }),
  serve({ ...rbac, kind: 'ClusterRoleBinding', plural: 'clusterrolebindings', namespaced: false }),
  serve({ ...authentication, kind: 'TokenReview', plural: 'tokenreviews' }),
  serve({ ...authentication, kind: 'SelfSubjectReview', plural: 'selfsubjectreviews' }),
  serve({ ...authorization, kind: 'SubjectAccessReview', plural: 'subjectaccessreviews' }),
  serve({ ...authorization, kind: 'LocalSubjectAccessReview', plural: 'localsubjectaccessreviews', namespaced: true }),
  serve({ ...authorization, kind: 'SelfSubjectAccessReview', plural: 'selfsubjectaccessreviews' }),
  serve({ ...authorization, kind: 'SelfSubjectRulesReview', plural: 'selfsubjectrulesreviews' }),
  ...own.map((definition) => serve({ ...definition, hasStatus: true, hasGeneration: true, needsResourceVersion: true, definition })),
]

/** The CustomResourceDefinitions that describe Carrel's kinds. */
export function definitionsServed(): KubeObject[] {
  return own.map((kind) => manifestOf(kind))
}
