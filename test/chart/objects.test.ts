import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../kit/ring.ts'
import { find, rendered, type Rendered } from './helm.ts'
import { SETS } from './sets.ts'

const WORKLOADS = ['Deployment', 'StatefulSet', 'Job']
const podsOf = (objects: Rendered[]): Rendered[] => objects.filter(({ kind }) => WORKLOADS.includes(kind))

for (const [name, values] of Object.entries(SETS)) {
  test(`every pod of the chart is as restricted as those of agents, with limits: ${name}`, (t) => {
    if (!needs(t, 'CARREL_TEST_HELM')) return
    for (const { metadata, spec } of podsOf(rendered(values))) {
      const pod = spec.template.spec
      assert.equal(pod.securityContext.runAsNonRoot, true, metadata.name)
      assert.deepEqual(pod.securityContext.seccompProfile, { type: 'RuntimeDefault' })
      for (const { securityContext, resources } of pod.containers) {
        assert.deepEqual(securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        assert.ok(resources.limits.memory && resources.requests.memory, metadata.name)
      }
    }
  })

  test(`no right of the chart has a wildcard, or hands out what its owner has not: ${name}`, (t) => {
    if (!needs(t, 'CARREL_TEST_HELM')) return
    for (const { metadata, kind, rules } of rendered(values).filter((object) => object.kind.endsWith('Role'))) {
      for (const rule of rules) {
        const words = [rule.verbs, rule.apiGroups, rule.resources, rule.nonResourceURLs].flatMap((list: string[] | undefined) => list ?? [])
        assert.deepEqual(
          words.filter((word: string) => word.includes('*') || ['bind', 'escalate', 'impersonate'].includes(word)),
          [],
          `${kind} ${metadata.name}`,
        )
      }
    }
  })
}

test('a gateway that ends sleeps, drains, and is killed only afterwards', (t) => {
  if (!needs(t, 'CARREL_TEST_HELM')) return
  const { spec } = find(rendered({ gateway: { drainSeconds: 100 } }), 'Deployment', 'carrel-gateway')
  const { lifecycle, env } = spec.template.spec.containers[0]
  const drain = env.find(({ name }: { name: string }) => name === 'CARREL_DRAIN_SECONDS')
  assert.equal(drain.value, '100')
  assert.ok(spec.template.spec.terminationGracePeriodSeconds > lifecycle.preStop.sleep.seconds + 100)
})

test('with autoscaling the number of gateways is the autoscaler’s alone', (t) => {
  if (!needs(t, 'CARREL_TEST_HELM')) return
  assert.equal(find(rendered(), 'Deployment', 'carrel-gateway').spec.replicas, undefined)
  const fixed = rendered({ gateway: { replicas: 3, autoscaling: { enabled: false } } })
  assert.equal(find(fixed, 'Deployment', 'carrel-gateway').spec.replicas, 3)
  assert.ok(!fixed.some(({ kind }) => kind === 'HorizontalPodAutoscaler'))
})

test('no password is in an environment, a config map or an argument: only in Secrets', (t) => {
  if (!needs(t, 'CARREL_TEST_HELM')) return
  const objects = rendered()
  const secrets = objects.filter(({ kind }) => kind === 'Secret').flatMap(({ data }) => Object.values(data as Record<string, string>))
  const others = JSON.stringify(objects.filter(({ kind }) => kind !== 'Secret'))
  for (const secret of secrets.map((text) => Buffer.from(text, 'base64').toString())) {
    assert.ok(secret.length >= 48, 'long enough to be random')
    assert.ok(!others.includes(secret))
  }
})

test('a Redis of your own: none is made, and the operator and the gateways are told of it by a Secret', (t) => {
  if (!needs(t, 'CARREL_TEST_HELM')) return
  for (const values of [SETS['a Redis of your own, by URL']!, SETS['a Redis of your own, by Secret']!]) {
    const objects = rendered(values)
    assert.ok(!objects.some(({ kind }) => kind === 'StatefulSet' || kind === 'NetworkPolicy' || kind === 'ConfigMap'))
    const { env } = find(objects, 'Deployment', 'carrel-operator').spec.template.spec.containers[0]
    assert.ok(env.some(({ name, valueFrom }: Record<string, object | string>) => name === 'CARREL_REDIS' && valueFrom !== undefined))
  }
})

test('runc is marked as not isolated, and the notes warn of it', (t) => {
  if (!needs(t, 'CARREL_TEST_HELM')) return
  const runc = find(rendered({ runtimeClasses: { default: 'carrel-runc' } }), 'RuntimeClass', 'carrel-runc')
  assert.equal(runc['handler'], 'runc')
  assert.equal(runc.metadata.labels!['carrel.dev/isolation'], 'none')
  assert.ok(!rendered().some(({ kind }) => kind === 'RuntimeClass'), 'by default the classes are those of kata-deploy')
})

test('Kata’s class counts the machine around the pod', (t) => {
  if (!needs(t, 'CARREL_TEST_HELM')) return
  const kata = find(rendered({ runtimeClasses: { create: { kata: true } } }), 'RuntimeClass', 'kata-qemu-runtime-rs')
  assert.deepEqual(kata['overhead'], { podFixed: { memory: '320Mi', cpu: '250m' } })
  assert.deepEqual(kata['scheduling'], { nodeSelector: { 'katacontainers.io/kata-runtime': 'true' } })
})
