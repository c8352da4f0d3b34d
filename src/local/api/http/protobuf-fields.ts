/** The fields of the kinds that kubectl sends as protobuf, by their numbers in generated.proto of k8s.io/api. */

/** How the value of a field reads; maps have string keys; a `count` of 0 is absent, an `int` is not. */
export type Shape =
  | 'string'
  | 'bool'
  | 'int'
  | 'count'
  | 'bytes'
  | 'time'
  | { message: Fields }
  | { map: 'string' | 'bytes' }
  | { list: Shape }
export type Fields = Record<number, [name: string, shape: Shape]>

const OWNER_REFERENCE: Fields = {
  1: ['kind', 'string'],
  3: ['name', 'string'],
  4: ['uid', 'string'],
  5: ['apiVersion', 'string'],
  6: ['controller', 'bool'],
  7: ['blockOwnerDeletion', 'bool'],
}

const OBJECT_META: Fields = {
  1: ['name', 'string'],
  2: ['generateName', 'string'],
  3: ['namespace', 'string'],
  4: ['selfLink', 'string'],
  5: ['uid', 'string'],
  6: ['resourceVersion', 'string'],
  7: ['generation', 'count'],
  8: ['creationTimestamp', 'time'],
  9: ['deletionTimestamp', 'time'],
  10: ['deletionGracePeriodSeconds', 'int'],
  11: ['labels', { map: 'string' }],
  12: ['annotations', { map: 'string' }],
  13: ['ownerReferences', { list: { message: OWNER_REFERENCE } }],
  14: ['finalizers', { list: 'string' }],
}

const METADATA: Fields[number] = ['metadata', { message: OBJECT_META }]

/** Of core. */
const CORE: Record<string, Fields> = {
  Namespace: {
    1: METADATA,
    2: ['spec', { message: { 1: ['finalizers', { list: 'string' }] } }],
    3: ['status', { message: { 1: ['phase', 'string'] } }],
  },
  Secret: {
    1: METADATA,
    2: ['data', { map: 'bytes' }],
    3: ['type', 'string'],
    4: ['stringData', { map: 'string' }],
    5: ['immutable', 'bool'],
  },
  ConfigMap: { 1: METADATA, 2: ['data', { map: 'string' }], 3: ['binaryData', { map: 'bytes' }], 4: ['immutable', 'bool'] },
  ServiceAccount: {
    1: METADATA,
    2: ['secrets', { list: { message: { 3: ['name', 'string'] } } }],
    3: ['imagePullSecrets', { list: { message: { 1: ['name', 'string'] } } }],
    4: ['automountServiceAccountToken', 'bool'],
  },
}

const SPEC = (fields: Fields): Fields[number] => ['spec', { message: fields }]
const RULES: Shape = {
  list: {
    message: {
      1: ['verbs', { list: 'string' }],
      2: ['apiGroups', { list: 'string' }],
      3: ['resources', { list: 'string' }],
      4: ['resourceNames', { list: 'string' }],
      5: ['nonResourceURLs', { list: 'string' }],
    },
  },
}
const USER: Fields = { 1: ['username', 'string'], 2: ['uid', 'string'], 3: ['groups', { list: 'string' }] }
const REQUIREMENT: Fields = { 1: ['key', 'string'], 2: ['operator', 'string'], 3: ['values', { list: 'string' }] }
const SELECTOR: Fields = { 1: ['matchLabels', { map: 'string' }], 2: ['matchExpressions', { list: { message: REQUIREMENT } }] }
const SUBJECT: Fields = { 1: ['kind', 'string'], 2: ['apiGroup', 'string'], 3: ['name', 'string'], 4: ['namespace', 'string'] }
const BINDING: Fields = {
  1: METADATA,
  2: ['subjects', { list: { message: SUBJECT } }],
  3: ['roleRef', { message: { 1: ['apiGroup', 'string'], 2: ['kind', 'string'], 3: ['name', 'string'] } }],
}
const RESOURCE_ATTRIBUTES: Fields = {
  1: ['namespace', 'string'],
  2: ['verb', 'string'],
  3: ['group', 'string'],
  4: ['version', 'string'],
  5: ['resource', 'string'],
  6: ['subresource', 'string'],
  7: ['name', 'string'],
}
const ASKED: Fields = {
  1: ['resourceAttributes', { message: RESOURCE_ATTRIBUTES }],
  2: ['nonResourceAttributes', { message: { 1: ['path', 'string'], 2: ['verb', 'string'] } }],
}
const ACCESS_STATUS: Fields = { 1: ['allowed', 'bool'], 2: ['reason', 'string'], 3: ['evaluationError', 'string'], 4: ['denied', 'bool'] }
const BOUND: Fields = { 1: ['kind', 'string'], 2: ['apiVersion', 'string'], 3: ['name', 'string'], 4: ['uid', 'string'] }

/** Of the groups beside core: generated.proto of k8s.io/api/rbac/v1, authentication/v1 and authorization/v1. */
const GROUPED: Record<string, Fields> = {
  'rbac.authorization.k8s.io/v1/Role': { 1: METADATA, 2: ['rules', RULES] },
  'rbac.authorization.k8s.io/v1/ClusterRole': {
    1: METADATA,
    2: ['rules', RULES],
    3: ['aggregationRule', { message: { 1: ['clusterRoleSelectors', { list: { message: SELECTOR } }] } }],
  },
  'rbac.authorization.k8s.io/v1/RoleBinding': BINDING,
  'rbac.authorization.k8s.io/v1/ClusterRoleBinding': BINDING,
  'authentication.k8s.io/v1/TokenRequest': {
    1: METADATA,
    2: SPEC({ 1: ['audiences', { list: 'string' }], 3: ['boundObjectRef', { message: BOUND }], 4: ['expirationSeconds', 'int'] }),
    3: ['status', { message: { 1: ['token', 'string'], 2: ['expirationTimestamp', 'time'] } }],
  },
  'authentication.k8s.io/v1/SelfSubjectReview': { 1: METADATA, 2: ['status', { message: { 1: ['userInfo', { message: USER }] } }] },
  'authorization.k8s.io/v1/SelfSubjectAccessReview': { 1: METADATA, 2: SPEC(ASKED), 3: ['status', { message: ACCESS_STATUS }] },
  'authorization.k8s.io/v1/SelfSubjectRulesReview': {
    1: METADATA,
    2: SPEC({ 1: ['namespace', 'string'] }),
    3: ['status', { message: { 3: ['incomplete', 'bool'], 4: ['evaluationError', 'string'] } }],
  },
}

export function fieldsOf(apiVersion: string, kind: string): Fields | undefined {
  return apiVersion === 'v1' ? CORE[kind] : GROUPED[`${apiVersion}/${kind}`]
}
