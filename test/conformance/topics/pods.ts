/** Pods, as far as Carrel relies on what a server checks of them. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { WORDS } from '../differences.ts'
import { pod } from '../objects.ts'
import type { Loose } from '../wire.ts'

const LESS = { differs: 'checked-less' } as const
/** What Carrel never sends. */
const CHECKED_LESS = new Set([
  'bad-container-name',
  'unknown-policy',
  'bad-deadline',
  'bad-env',
  'env-twice',
  'bad-port',
  'no-volume',
  'no-account',
])

conformance('what is no pod', async (on) => {
  const wrong: [string, (made: Loose) => void][] = [
    ['no-containers', ({ spec }) => (spec.containers = [])],
    ['no-spec', (made) => delete made.spec],
    ['no-image', ({ spec }) => delete spec.containers[0].image],
    ['no-container-name', ({ spec }) => delete spec.containers[0].name],
    ['bad-container-name', ({ spec }) => (spec.containers[0].name = 'A_b')],
    ['twice', ({ spec }) => spec.containers.push({ ...spec.containers[0] })],
    ['unknown-policy', ({ spec }) => (spec.restartPolicy = 'Sometimes')],
    ['bad-grace', ({ spec }) => (spec.terminationGracePeriodSeconds = 'long')],
    ['bad-deadline', ({ spec }) => (spec.activeDeadlineSeconds = 0)],
    ['bad-env', ({ spec }) => (spec.containers[0].env = [{ name: '', value: 'x' }])],
    [
      'env-twice',
      ({ spec }) =>
        (spec.containers[0].env = [
          { name: 'A', value: 'x' },
          { name: 'A', value: 'y' },
        ]),
    ],
    ['bad-port', ({ spec }) => (spec.containers[0].ports = [{ containerPort: 0 }])],
    ['no-volume', ({ spec }) => (spec.containers[0].volumeMounts = [{ name: 'none', mountPath: '/a' }])],
    ['no-account', ({ spec }) => (spec.serviceAccountName = 'nobody')],
    ['long-name', (made) => (made.metadata.name = 'x'.repeat(254))],
  ]
  for (const [name, change] of wrong) {
    await on.call('POST', on.at('pods'), {
      body: pod(name, change),
      ...(name === 'bad-grace' ? WORDS : {}),
      ...(CHECKED_LESS.has(name) ? LESS : {}),
    })
  }
})

conformance('what may change of a pod', async (on) => {
  const made = await on.make('pods', pod('a'))
  const at = on.at('pods', 'a')
  const patch = (body: object) => on.call('PATCH', at, { body, ...WORDS })
  assert.equal((await patch({ metadata: { labels: { a: 'b' }, annotations: { a: 'b' } } })).status, 200)
  assert.equal((await patch({ spec: { activeDeadlineSeconds: 100 } })).status, 200)
  assert.equal((await patch({ spec: { activeDeadlineSeconds: 50 } })).status, 200)
  assert.equal((await patch({ spec: { activeDeadlineSeconds: 60 } })).status, 422)
  assert.equal((await patch({ spec: { restartPolicy: 'Never' } })).status, 422)
  assert.equal((await patch({ spec: { nodeName: 'elsewhere' } })).status, 422)
  assert.equal((await patch({ spec: { containers: [{ name: 'agent', image: 'agent:9' }] } })).status, 200)
  assert.equal((await patch({ spec: { containers: [{ name: 'agent', image: '' }] } })).status, 422)
  assert.equal((await patch({ spec: { containers: [] } })).status, 422)
  assert.equal((await patch({ spec: { containers: [{ name: 'other', image: 'agent:9' }] } })).status, 422)
  assert.equal((await patch({ spec: { serviceAccountName: 'other' } })).status, 422)
  await on.call('PUT', at, { body: { ...made, metadata: { name: 'a' } } })
})

conformance('a pod is bound to a node once', async (on) => {
  await on.make('pods', pod('a'))
  const at = on.at('pods', 'a', 'binding')
  const binding = (name?: string) => ({
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: 'a' },
    target: { apiVersion: 'v1', kind: 'Node', name },
  })
  await on.call('POST', at, { body: binding() })
  assert.equal((await on.call('POST', at, { body: binding('node-1') })).status, 201)
  const { body } = await on.call('GET', on.at('pods', 'a'))
  assert.equal(body.spec.nodeName, 'node-1')
  assert.equal((await on.call('POST', at, { body: binding('node-2') })).status, 409)
  assert.equal(
    (await on.call('POST', on.at('pods', 'none', 'binding'), { body: { ...binding('node-1'), metadata: { name: 'none' } } })).status,
    404,
  )
  assert.equal((await on.call('POST', on.at('pods', 'none', 'binding'), { body: binding('node-1') })).status, 400)
  await on.make(
    'pods',
    pod('ending', ({ metadata }) => Object.assign(metadata, { finalizers: ['carrel.dev/a'] })),
  )
  await on.call('DELETE', on.at('pods', 'ending'))
  await on.call('POST', on.at('pods', 'ending', 'binding'), { body: { ...binding('node-1'), metadata: { name: 'ending' } } })
})

conformance('a pod with everything that Carrel sets', async (on) => {
  await on.make(
    'pods',
    pod('a', ({ metadata, spec }) => {
      Object.assign(metadata, { labels: { 'carrel.dev/session': 'a' }, annotations: { 'carrel.dev/a': 'b' } })
      Object.assign(spec, {
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 10,
        activeDeadlineSeconds: 3600,
        enableServiceLinks: false,
        volumes: [{ name: 'code', emptyDir: {} }],
        tolerations: [{ key: 'a', operator: 'Exists', effect: 'NoSchedule' }],
        nodeSelector: { 'kubernetes.io/os': 'linux' },
      })
      Object.assign(spec.containers[0], {
        command: ['node', 'agent.ts'],
        args: ['--x'],
        workingDir: '/app',
        env: [{ name: 'A', value: '1' }, { name: 'EMPTY' }],
        ports: [{ name: 'http', containerPort: 8080 }],
        volumeMounts: [{ name: 'code', mountPath: '/app' }],
        resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } },
      })
    }),
  )
})
