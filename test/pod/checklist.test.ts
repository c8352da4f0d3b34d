/** The pod template's checklist, row by row, of the pod that a runtime of few words gets. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Pod } from '../../src/kube/objects.ts'
import { SESSION_UID, built, containerOf, type Container } from './built.ts'

const pod = built()
const spec = pod.spec!
const [agent, meter] = [containerOf(pod, 'agent'), containerOf(pod, 'meter')]

const OF_THE_POD: [string, (spec: NonNullable<Pod['spec']>) => unknown, unknown][] = [
  ['a RuntimeClass that isolates', ({ runtimeClassName }) => runtimeClassName, 'kata-qemu-runtime-rs'],
  ['no second start in a used machine', ({ restartPolicy }) => restartPolicy, 'Never'],
  ["the lifetime and a minute for the kubelet's own backstop", ({ activeDeadlineSeconds }) => activeDeadlineSeconds, 28_860],
  ['a short grace', ({ terminationGracePeriodSeconds }) => terminationGracePeriodSeconds, 4],
  ['no token', ({ automountServiceAccountToken }) => automountServiceAccountToken, false],
  ['no account but the powerless default', ({ serviceAccountName }) => serviceAccountName, undefined],
  ['no addresses of services', ({ enableServiceLinks }) => enableServiceLinks, false],
  ['no processes shared', ({ shareProcessNamespace }) => shareProcessNamespace, false],
  ['user namespaces left to the class', ({ hostUsers }) => hostUsers, undefined],
  ['no network of the node', ({ hostNetwork }) => hostNetwork, undefined],
  ['no processes of the node', ({ hostPID, hostIPC }) => [hostPID, hostIPC], [undefined, undefined]],
  ['no volume at all: each costs a poll of the kubelet', ({ volumes }) => volumes, undefined],
  ['no init containers: they would hold the agent back', ({ initContainers }) => initContainers, undefined],
  ['agent first, then the meter', ({ containers }) => containers.map(({ name }) => name), ['agent', 'meter']],
  [
    'half a minute on a silent node',
    ({ tolerations }) => tolerations?.map(({ key, effect, tolerationSeconds }) => [key, effect, tolerationSeconds]),
    [
      ['node.kubernetes.io/not-ready', 'NoExecute', 30],
      ['node.kubernetes.io/unreachable', 'NoExecute', 30],
    ],
  ],
  [
    'a soft spread over nodes',
    ({ topologySpreadConstraints }) => topologySpreadConstraints,
    [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: { 'carrel.dev/runtime': 'hello' } },
      },
    ],
  ],
]

const OF_EACH_CONTAINER: [string, (container: Container) => unknown, unknown][] = [
  ['no privilege gained', ({ securityContext }) => securityContext?.allowPrivilegeEscalation, false],
  ['no capability', ({ securityContext }) => securityContext?.capabilities, { drop: ['ALL'] }],
  ['not root', ({ securityContext }) => securityContext?.runAsNonRoot, true],
  ['a numeric user', ({ securityContext }) => (securityContext?.runAsUser ?? 0) > 0, true],
  ['the seccomp profile of the runtime', ({ securityContext }) => securityContext?.seccompProfile, { type: 'RuntimeDefault' }],
  ['not privileged', ({ securityContext }) => securityContext?.privileged, undefined],
  ['no port of the node', ({ ports }) => ports?.map(({ hostPort }) => hostPort), [undefined]],
  [
    'no probes: the reaper and the meter ask',
    ({ livenessProbe, readinessProbe, startupProbe }) => [livenessProbe, readinessProbe, startupProbe],
    [undefined, undefined, undefined],
  ],
  ['no hooks', ({ lifecycle }) => lifecycle, undefined],
  ['a limit of everything', ({ resources }) => Object.keys(resources?.limits ?? {}), ['cpu', 'memory', 'ephemeral-storage']],
  ['a request of everything', ({ resources }) => Object.keys(resources?.requests ?? {}), ['cpu', 'memory', 'ephemeral-storage']],
]

describe('the pod', () => {
  for (const [what, of, expected] of OF_THE_POD) test(what, () => assert.deepEqual(of(spec), expected))

  test('carries nothing but what Carrel needs to know', () => {
    assert.deepEqual(pod.metadata.labels, {
      'carrel.dev/session-uid': SESSION_UID,
      'carrel.dev/incarnation': '1',
      'carrel.dev/runtime': 'hello',
      'carrel.dev/version': '7',
    })
    assert.equal(pod.metadata.annotations, undefined)
  })
})

for (const container of [agent, meter]) {
  describe(`the ${container.name}`, () => {
    for (const [what, of, expected] of OF_EACH_CONTAINER) test(what, () => assert.deepEqual(of(container), expected))
  })
}

test('the agent runs as user 1000 on a root file system of its own, with the limits and requests of the design', () => {
  assert.equal(agent.securityContext?.runAsUser, 1000)
  assert.equal(agent.securityContext?.readOnlyRootFilesystem, false)
  assert.deepEqual(agent.resources, {
    limits: { cpu: '1', memory: '1Gi', 'ephemeral-storage': '2Gi' },
    requests: { cpu: '50m', memory: '256Mi', 'ephemeral-storage': '64Mi' },
  })
  assert.deepEqual(agent.ports, [{ containerPort: 8080, name: 'http' }])
})

test('the meter runs as another user on a read-only file system, within the limits of the installation', () => {
  assert.equal(meter.securityContext?.runAsUser, 65_532)
  assert.equal(meter.securityContext?.readOnlyRootFilesystem, true)
  assert.deepEqual(meter.resources?.limits, { cpu: '500m', memory: '64Mi', 'ephemeral-storage': '16Mi' })
  assert.deepEqual(meter.ports, [{ containerPort: 9465, name: 'meter' }])
  assert.equal(meter.image, 'carrel/carrel:0.1.0')
  assert.equal(meter.command?.at(-1), '/carrel/dist/metering/sidecar/main.js')
  const small = built(
    {},
    { meterImage: 'c', meterSecret: 'x'.repeat(32), meterCpu: '5m', meterMemory: '24Mi', meterEphemeralStorage: '8Mi' },
  )
  assert.deepEqual(containerOf(small, 'meter').resources, {
    limits: { cpu: '5m', memory: '24Mi', 'ephemeral-storage': '8Mi' },
    requests: { cpu: '5m', memory: '24Mi', 'ephemeral-storage': '8Mi' },
  })
})

test("the session's key reaches the meter by reference, and the agent not at all", () => {
  assert.deepEqual(
    meter.env?.filter(({ name }) => name.startsWith('CARREL_')),
    [
      { name: 'CARREL_METER_KEY', valueFrom: { secretKeyRef: { name: `meter-${SESSION_UID}`, key: 'key' } } },
      { name: 'CARREL_METER_POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
      { name: 'CARREL_METER_AGENT_PORT', value: '8080' },
    ],
  )
  assert.ok(!JSON.stringify(agent).includes('meter'), 'the agent knows of no meter')
  assert.ok(!JSON.stringify(pod).includes('a-secret-of'), "and the installation's secret is nowhere")
})

test('without an image or a secret for meters the agent is alone', () => {
  for (const settings of [{}, { meterImage: 'carrel/carrel:0.1.0' }, { meterSecret: 'x'.repeat(32) }])
    assert.deepEqual(
      built({}, settings).spec?.containers.map(({ name }) => name),
      ['agent'],
    )
})
