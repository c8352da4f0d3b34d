import type { ServedKind } from './served-kinds.ts'
import { badRequest } from './statuses.ts'

/** What a field must look like for a typed server to read it at all. Fields that are not named may be anything. */
type Shape = 'string' | 'number' | 'boolean' | 'time' | 'bytes' | { list: Shape } | { map: Shape } | { fields: Record<string, Shape> }

const strings: Shape = { list: 'string' }
const texts: Shape = { map: 'string' }
const blobs: Shape = { map: 'bytes' }
const anything: Shape = { fields: {} }

const METADATA: Shape = {
  fields: {
    name: 'string',
    generateName: 'string',
    namespace: 'string',
    uid: 'string',
    resourceVersion: 'string',
    labels: texts,
    annotations: texts,
    finalizers: strings,
    ownerReferences: {
      list: {
        fields: {
          apiVersion: 'string',
          kind: 'string',
          name: 'string',
          uid: 'string',
          controller: 'boolean',
          blockOwnerDeletion: 'boolean',
        },
      },
    },
  },
}

const CONTAINER: Shape = {
  fields: {
    name: 'string',
    image: 'string',
    workingDir: 'string',
    command: strings,
    args: strings,
    env: { list: { fields: { name: 'string', value: 'string', valueFrom: anything } } },
    ports: { list: { fields: { name: 'string', containerPort: 'number' } } },
    volumeMounts: { list: { fields: { name: 'string', mountPath: 'string' } } },
    resources: anything,
  },
}

const STATUS: Shape = {
  fields: {
    phase: 'string',
    reason: 'string',
    message: 'string',
    podIP: 'string',
    conditions: { list: anything },
    containerStatuses: { list: anything },
  },
}

const REFERENCE: Shape = {
  fields: { apiVersion: 'string', kind: 'string', namespace: 'string', name: 'string', uid: 'string', fieldPath: 'string' },
}

const RULES: Shape = {
  list: { fields: { verbs: strings, apiGroups: strings, resources: strings, resourceNames: strings, nonResourceURLs: strings } },
}

const BINDING: Record<string, Shape> = {
  subjects: { list: { fields: { kind: 'string', apiGroup: 'string', name: 'string', namespace: 'string' } } },
  roleRef: { fields: { apiGroup: 'string', kind: 'string', name: 'string' } },
}

const ACCESS: Record<string, Shape> = {
  user: 'string',
  groups: strings,
  resourceAttributes: {
    fields: { verb: 'string', group: 'string', resource: 'string', subresource: 'string', namespace: 'string', name: 'string' },
  },
  nonResourceAttributes: { fields: { verb: 'string', path: 'string' } },
}

const BUILT_IN: Record<string, Record<string, Shape>> = {
  Namespace: { spec: { fields: { finalizers: strings } }, status: STATUS },
  Node: { spec: anything, status: STATUS },
  Pod: {
    spec: {
      fields: {
        containers: { list: CONTAINER },
        initContainers: { list: CONTAINER },
        volumes: { list: { fields: { name: 'string' } } },
        tolerations: { list: anything },
        imagePullSecrets: { list: { fields: { name: 'string' } } },
        nodeName: 'string',
        nodeSelector: texts,
        restartPolicy: 'string',
        serviceAccountName: 'string',
        activeDeadlineSeconds: 'number',
        terminationGracePeriodSeconds: 'number',
      },
    },
    status: STATUS,
  },
  Secret: { type: 'string', data: blobs, stringData: texts, immutable: 'boolean' },
  ConfigMap: { data: texts, binaryData: blobs, immutable: 'boolean' },
  ServiceAccount: { secrets: { list: anything }, imagePullSecrets: { list: { fields: { name: 'string' } } } },
  Event: {
    involvedObject: REFERENCE,
    regarding: REFERENCE,
    related: REFERENCE,
    reason: 'string',
    message: 'string',
    note: 'string',
    type: 'string',
    action: 'string',
    eventTime: 'time',
    reportingComponent: 'string',
    reportingController: 'string',
    reportingInstance: 'string',
    series: { fields: { count: 'number', lastObservedTime: 'time' } },
    count: 'number',
  },
  Role: { rules: RULES },
  ClusterRole: { rules: RULES, aggregationRule: { fields: { clusterRoleSelectors: { list: anything } } } },
  RoleBinding: BINDING,
  ClusterRoleBinding: BINDING,
  TokenReview: { spec: { fields: { token: 'string', audiences: strings } } },
  SubjectAccessReview: { spec: { fields: ACCESS } },
  LocalSubjectAccessReview: { spec: { fields: ACCESS } },
  SelfSubjectAccessReview: { spec: { fields: ACCESS } },
  SelfSubjectReview: { spec: anything },
  SelfSubjectRulesReview: { spec: { fields: { namespace: 'string' } } },
  ControllerRevision: { revision: 'number' },
  Lease: {
    spec: {
      fields: {
        holderIdentity: 'string',
        leaseDurationSeconds: 'number',
        leaseTransitions: 'number',
        acquireTime: 'time',
        renewTime: 'time',
      },
    },
  },
}

/** Throws 400 for an object that the real, typed server could not even read. A null field is an absent one, as in Go. */
export function checkShape(kind: ServedKind, object: object): void {
  const fields = { metadata: METADATA, ...(kind.definition ? {} : BUILT_IN[kind.kind]) }
  const wrong = wrongIn(object, { fields }, '')
  if (wrong === undefined) return
  const { field, found, wanted } = wrong
  const problem = `json: cannot unmarshal ${found} into Go struct field ${kind.kind}.${field} of type ${wanted}`
  throw badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${problem}`)
}

interface Wrong {
  field: string
  found: string
  wanted: string
}

type Part = [field: string, value: unknown, shape: Shape]

const NAMES = { string: 'string', number: 'int64', boolean: 'bool', time: 'a time with six digits of a second', bytes: 'base64' }
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/

function isOf(shape: keyof typeof NAMES, value: unknown): boolean {
  if (shape === 'time') return typeof value === 'string' && TIME.test(value)
  if (shape === 'bytes') return typeof value === 'string' && Buffer.from(value, 'base64').toString('base64') === value
  return typeof value === shape
}

function wrongIn(value: unknown, shape: Shape, field: string): Wrong | undefined {
  if (typeof shape === 'string') return isOf(shape, value) ? undefined : { field, found: jsonTypeOf(value), wanted: NAMES[shape] }
  if ('list' in shape) {
    if (!Array.isArray(value)) return { field, found: jsonTypeOf(value), wanted: 'list' }
    return firstWrong(value.map((item: unknown, index): Part => [`${field}[${index}]`, item, shape.list]))
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { field, found: jsonTypeOf(value), wanted: 'object' }
  return firstWrong('map' in shape ? partsOfMap(value, shape.map, field) : partsOfObject(value, shape.fields, field))
}

function partsOfMap(value: object, shape: Shape, field: string): Part[] {
  return Object.entries(value).map(([key, item]) => [`${field}.${key}`, item, shape])
}

function partsOfObject(value: object, fields: Record<string, Shape>, field: string): Part[] {
  const present = Object.entries(value).filter(([key, inner]) => Object.hasOwn(fields, key) && inner !== undefined && inner !== null)
  return present.map(([key, inner]) => [field ? `${field}.${key}` : key, inner, fields[key]!])
}

function firstWrong(parts: Part[]): Wrong | undefined {
  for (const [field, value, shape] of parts) {
    const wrong = wrongIn(value, shape, field)
    if (wrong) return wrong
  }
  return undefined
}

function jsonTypeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}
