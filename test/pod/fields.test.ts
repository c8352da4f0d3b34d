/** What each field of an AgentRuntime does to the pods of its sessions. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { METERED, built, containerOf } from './built.ts'

const agentOf = (spec: object) => containerOf(built(spec), 'agent')
const container = (more: object): object => ({ artifact: { container: { image: 'hello:1', ...more } } })

describe('the image', () => {
  test('command, arguments and pull policy pass through', () => {
    const agent = agentOf(container({ command: ['a'], args: ['b'], imagePullPolicy: 'Always' }))
    assert.deepEqual([agent.image, agent.command, agent.args, agent.imagePullPolicy], ['hello:1', ['a'], ['b'], 'Always'])
    assert.deepEqual([agentOf({}).command, agentOf({}).args, agentOf({}).imagePullPolicy], [undefined, undefined, undefined])
  })

  test("pull secrets are the runtime's, then those of the meter", () => {
    assert.equal(built().spec?.imagePullSecrets, undefined)
    const mine = container({ imagePullSecrets: [{ name: 'mine' }] })
    assert.deepEqual(built(mine).spec?.imagePullSecrets, [{ name: 'mine' }])
    assert.deepEqual(built(mine, { ...METERED, meterImagePullSecrets: 'ours, theirs' }).spec?.imagePullSecrets, [
      { name: 'mine' },
      { name: 'ours' },
      { name: 'theirs' },
    ])
  })
})

describe('resources', () => {
  test('one limit leaves the others as they are', () => {
    assert.deepEqual(agentOf({ resources: { limits: { memory: '2Gi' } } }).resources?.limits, {
      cpu: '1',
      memory: '2Gi',
      'ephemeral-storage': '2Gi',
    })
  })

  test('a default request is never above its limit', () => {
    const { resources } = agentOf({ resources: { limits: { cpu: '20m', memory: '128Mi', 'ephemeral-storage': '1Mi' } } })
    assert.deepEqual(resources, {
      limits: { cpu: '20m', memory: '128Mi', 'ephemeral-storage': '1Mi' },
      requests: { cpu: '20m', memory: '128Mi', 'ephemeral-storage': '1Mi' },
    })
  })

  test('numbers become text, and requests are taken as they are', () => {
    const { resources } = agentOf({ resources: { limits: { cpu: 2 }, requests: { cpu: 1, memory: 268_435_456 } } })
    assert.deepEqual(
      [resources?.limits?.['cpu'], resources?.requests],
      ['2', { cpu: '1', memory: '268435456', 'ephemeral-storage': '64Mi' }],
    )
  })
})

describe('the user', () => {
  test('root is root, and still has nothing of it', () => {
    const { securityContext } = agentOf({ securityContext: { runAsUser: 0 } })
    assert.deepEqual([securityContext?.runAsUser, securityContext?.runAsNonRoot], [0, false])
    assert.deepEqual(securityContext?.capabilities, { drop: ['ALL'] })
    assert.equal(securityContext?.allowPrivilegeEscalation, false)
    assert.equal(containerOf(built({ securityContext: { runAsUser: 0 } }), 'meter').securityContext?.runAsNonRoot, true)
  })

  test('groups and a read-only file system', () => {
    const pod = built({ securityContext: { runAsUser: 5, runAsGroup: 6, fsGroup: 7, readOnlyRootFilesystem: true } })
    const { securityContext } = containerOf(pod, 'agent')
    assert.deepEqual([securityContext?.runAsUser, securityContext?.runAsGroup, securityContext?.readOnlyRootFilesystem], [5, 6, true])
    assert.deepEqual(pod.spec?.securityContext, { fsGroup: 7, fsGroupChangePolicy: 'OnRootMismatch' })
    assert.equal(built().spec?.securityContext, undefined)
  })
})

describe('the class and the account', () => {
  test("the runtime's class, else the installation's, else none where the installer said so", () => {
    assert.equal(built({ runtimeClassName: 'kata-clh' }).spec?.runtimeClassName, 'kata-clh')
    assert.equal(built({}, { defaultRuntimeClass: 'carrel-runc' }).spec?.runtimeClassName, 'carrel-runc')
    assert.equal('runtimeClassName' in built({}, { defaultRuntimeClass: '' }).spec!, false)
  })

  test('a token comes only with an account that is named', () => {
    const { serviceAccountName, automountServiceAccountToken } = built({ serviceAccountName: 'agents' }).spec!
    assert.deepEqual([serviceAccountName, automountServiceAccountToken], ['agents', true])
  })
})

test('the grace and the lifetime', () => {
  const { spec } = built({ lifecycle: { maxLifetimeSeconds: 1_000, stopGraceSeconds: 12 } })
  assert.deepEqual([spec?.activeDeadlineSeconds, spec?.terminationGracePeriodSeconds], [1_060, 12])
})

test('a place: nobody stays longer than half a minute on a silent node, whatever it tolerates', () => {
  const affinity = {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/arch', operator: 'In', values: ['arm64'] }] }],
      },
    },
  }
  const { spec } = built({ placement: { nodeSelector: { a: 'b' }, tolerations: [{ operator: 'Exists' }], affinity } })
  assert.deepEqual(spec?.nodeSelector, { a: 'b' })
  assert.deepEqual(spec?.affinity, affinity)
  assert.deepEqual(
    spec?.tolerations?.map(({ tolerationSeconds }) => tolerationSeconds),
    [30, 30, undefined],
  )
})

describe('volumes', () => {
  const volumes = [
    { name: 'scratch', mountPath: '/tmp', emptyDir: {} },
    { name: 'fast', mountPath: '/fast', emptyDir: { sizeLimit: 1_048_576, medium: 'Memory' } },
    { name: 'books', mountPath: '/books', readOnly: true, persistentVolumeClaim: { claimName: 'library' } },
    { name: 'keys', mountPath: '/keys', secret: { secretName: 'keys', items: [{ key: 'a', path: 'b' }] } },
    { name: 'words', mountPath: '/words', configMap: { name: 'words' } },
  ]
  const pod = built({ volumes })

  test('each of its kind, an emptyDir with a bound always', () => {
    assert.deepEqual(pod.spec?.volumes, [
      { name: 'scratch', emptyDir: { sizeLimit: '1Gi' } },
      { name: 'fast', emptyDir: { sizeLimit: '1048576', medium: 'Memory' } },
      { name: 'books', persistentVolumeClaim: { claimName: 'library', readOnly: true } },
      { name: 'keys', secret: { secretName: 'keys', items: [{ key: 'a', path: 'b' }] } },
      { name: 'words', configMap: { name: 'words' } },
    ])
  })

  test('mounted in the agent, and nowhere else', () => {
    assert.deepEqual(containerOf(pod, 'agent').volumeMounts, [
      { name: 'scratch', mountPath: '/tmp' },
      { name: 'fast', mountPath: '/fast' },
      { name: 'books', mountPath: '/books', readOnly: true },
      { name: 'keys', mountPath: '/keys' },
      { name: 'words', mountPath: '/words' },
    ])
    assert.equal(containerOf(pod, 'meter').volumeMounts, undefined)
  })
})

test('the environment: what Carrel injects, then what the user sets, who wins; a Secret goes by reference', () => {
  const secretKeyRef = { name: 'keys', key: 'api-key' }
  const environment = [
    { name: 'AWS_REGION', value: 'us-west-2' },
    { name: 'API_KEY', valueFrom: { secretKeyRef } },
    { name: 'EMPTY', value: '' },
  ]
  assert.deepEqual(agentOf({ environment }).env, [
    { name: 'DOCKER_CONTAINER', value: '1' },
    { name: 'AWS_REGION', value: 'us-west-2' },
    { name: 'AWS_DEFAULT_REGION', value: 'eu-west-1' },
    { name: 'API_KEY', valueFrom: { secretKeyRef } },
    { name: 'EMPTY', value: '' },
  ])
})

test('where sessions are processes, a pod says nothing that nobody there could do', () => {
  const artifact = { code: { directory: 'agents/hello', command: ['node', 'agent.ts'] }, container: { image: 'hello:1' } }
  const everything = {
    artifact,
    runtimeClassName: 'kata-clh',
    serviceAccountName: 'agents',
    resources: { limits: { cpu: 2 } },
    volumes: [{ name: 'scratch', mountPath: '/tmp', emptyDir: {} }],
    placement: { nodeSelector: { a: 'b' } },
  }
  const pod = built(everything, { ...METERED, artifacts: 'code' })
  assert.deepEqual(pod.spec, {
    restartPolicy: 'Never',
    activeDeadlineSeconds: 28_860,
    terminationGracePeriodSeconds: 4,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    containers: [
      {
        name: 'agent',
        image: 'hello:1',
        command: ['node', 'agent.ts'],
        env: [
          { name: 'DOCKER_CONTAINER', value: '1' },
          { name: 'AWS_REGION', value: 'eu-west-1' },
          { name: 'AWS_DEFAULT_REGION', value: 'eu-west-1' },
        ],
        ports: [{ containerPort: 8080, name: 'http' }],
      },
    ],
  })
  assert.deepEqual(pod.metadata.annotations, { 'carrel.dev/code-directory': 'agents/hello' })
})
