import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { operatorSettings } from '../../src/operator/settings.ts'
import { gatewaySettings } from '../../src/gateway/settings.ts'
import { needs } from '../kit/ring.ts'
import { CHART, find, helm, rendered, type Rendered } from './helm.ts'
import { SETS } from './sets.ts'

for (const [name, values] of Object.entries(SETS)) {
  test(`helm lint --strict has nothing to say: ${name}`, (t) => {
    if (!needs(t, 'CARREL_TEST_HELM')) return
    const { status, stdout, stderr } = helm(['lint', '--strict', CHART], { values })
    assert.equal(status, 0, stdout + stderr)
    assert.doesNotMatch(stdout, /WARNING|ERROR/)
  })
}

const WRONG: [why: string, values: object, says: RegExp][] = [
  ['an unknown value', { gateway: { replica: 3 } }, /gateway.*additional properties 'replica' not allowed/s],
  ['an unknown group', { gatway: {} }, /additional properties 'gatway' not allowed/],
  ['an account that is no account', { accountId: '12' }, /accountId.*does not match pattern/s],
  ['an account that YAML takes for a number', { accountId: 123_456_789_012 }, /accountId.*got number, want string/s],
  ['replicas by name', { operator: { replicas: 'two' } }, /operator\/replicas.*got string, want integer/s],
  ['no operator', { operator: { replicas: 0 } }, /operator\/replicas.*minimum: got 0, want 1/s],
  [
    'a level of Pod Security that is none',
    { sessionNamespaces: [{ name: 'a', podSecurity: 'strict' }] },
    /podSecurity.*value must be one of/s,
  ],
  ['no namespace for sessions', { sessionNamespaces: [] }, /sessionNamespaces.*minItems: got 0, want 1/s],
  ['agents beside Carrel itself', { sessionNamespaces: [{ name: 'carrel-system' }] }, /name another namespace than carrel-system/],
  ['an Ingress for no host', { gateway: { ingress: { enabled: true } } }, /gateway\.ingress\.host: name the host/],
  ['an HTTPRoute that hangs on nothing', { gateway: { httpRoute: { enabled: true } } }, /parentRefs: name the Gateway/],
  ['a ServiceAccount of no namespace', { invokers: [{ kind: 'ServiceAccount', name: 'a' }] }, /ServiceAccount a needs a namespace/],
]
for (const [why, values, says] of WRONG) {
  test(`refused, and said: ${why}`, (t) => {
    if (!needs(t, 'CARREL_TEST_HELM')) return
    const { status, stderr } = helm(['template', 'carrel', CHART], { values })
    assert.notEqual(status, 0)
    assert.match(stderr, says)
  })
}

test('another namespace than the one that the code knows is refused', (t) => {
  if (!needs(t, 'CARREL_TEST_HELM')) return
  const { status, stderr } = helm(['template', 'carrel', CHART], { namespace: 'elsewhere' })
  assert.notEqual(status, 0)
  assert.match(stderr, /Carrel lives in the namespace carrel-system, and this is elsewhere/)
})

const PARTS = { operator: ['carrel-operator', operatorSettings], gateway: ['carrel-gateway', gatewaySettings] } as const
/** Of every process, not of these settings. */
const OWN = ['metricsPort', 'metricsHost', 'logLevel', 'kubeconfig', 'leaderElect']

for (const [part, [deployment, schema]] of Object.entries(PARTS)) {
  for (const [name, values] of Object.entries(SETS)) {
    test(`the ${part} knows every setting that the chart gives it, and takes its value: ${name}`, (t) => {
      if (!needs(t, 'CARREL_TEST_HELM')) return
      const environment = environmentOf(find(rendered(values), 'Deployment', deployment))
      const given: Record<string, unknown> = {}
      for (const [variable, value] of Object.entries(environment)) {
        if (!variable.startsWith('CARREL_')) continue
        const key = variable
          .slice('CARREL_'.length)
          .toLowerCase()
          .replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
        if (part === 'operator' && OWN.includes(key)) continue
        assert.ok(key in schema.shape, `${variable} is no setting of the ${part}`)
        given[key] = value
      }
      const parsed = schema.safeParse(given)
      assert.ok(parsed.success, JSON.stringify(parsed.error?.issues))
    })
  }
}

/** What comes from a Secret is stood in for. */
function environmentOf({ spec }: Rendered): Record<string, string> {
  const { env } = spec.template.spec.containers[0] as { env: { name: string; value?: string }[] }
  return Object.fromEntries(env.map(({ name, value }) => [name, value ?? `redis://stands-in-for-a-secret-of-32-characters`]))
}

test('the README prints the commands that the notes print', (t) => {
  if (!needs(t, 'CARREL_TEST_HELM')) return
  const readme = readFileSync(join(CHART, '..', '..', '..', 'README.md'), 'utf8')
  const notes = readFileSync(join(CHART, 'templates', 'NOTES.txt'), 'utf8').replaceAll('{{ $namespace }}', 'agents')
  const lines = notes
    .split('\n')
    .filter((line) => /^ {2}(kubectl apply|\(kubectl port-forward|eval|npx)/.test(line) && !line.includes('{{'))
  const commands = new Set(lines)
  assert.equal(commands.size, 4)
  for (const command of commands) assert.ok(readme.includes(`\n${command.trim()}`), command)
})
