import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Environment } from '@marcbachmann/cel-js'
import fc from 'fast-check'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS, PHASES } from '../../src/crds/agent-session.ts'
import type { Kind, Rule } from '../../src/crds/define-kind.ts'
import { schemaOf } from '../../src/crds/manifest.ts'
import { ruleCauses, withRules } from '../../src/crds/rules.ts'

const seconds = fc.integer({ min: 1, max: 30 })
const incarnation = fc.integer({ min: 1, max: 3 })
const word = fc.constantFrom('a', 'b')
const status = fc.record({ incarnation, phase: fc.constantFrom(...PHASES), podUID: word }, { requiredKeys: [] })
const spec = fc.record({
  runtimeRef: fc.record({ name: word, uid: word }),
  endpoint: word,
  sessionId: word,
  owner: fc.record({ kind: word, issuer: word, subject: word }),
  incarnation,
  stopThrough: fc.integer({ min: 0, max: 2 }),
})
const container = fc.record({ image: word })
const code = fc.record({ directory: word, command: fc.array(word, { minLength: 1, maxLength: 2 }) })
const words = fc.array(word, { minLength: 1, maxLength: 2 })
const claim = fc.record({
  inboundTokenClaimName: word,
  inboundTokenClaimValueType: fc.constantFrom('STRING', 'STRING_ARRAY'),
  authorizingClaimMatchValue: fc.record({
    claimMatchOperator: fc.constantFrom('EQUALS', 'CONTAINS', 'CONTAINS_ANY'),
    claimMatchValue: fc.record({ matchValueString: word, matchValueStringList: words }, { requiredKeys: [] }),
  }),
})
const discoveryUrl = word
const secret = fc.constantFrom('meter-a', 'mine')
const variable = fc.record({ value: word, valueFrom: fc.record({ secretKeyRef: fc.record({ name: secret }) }) }, { requiredKeys: [] })
const cpu = fc.constantFrom(1, 2, '1', '1500m', '0.5')
const bytes = fc.constantFrom(1_000_000_000, '1G', '1Gi', '1024Mi', '0.5Gi', '1.001G')
const limits = fc.record({ cpu, memory: bytes, 'ephemeral-storage': bytes })
const requests = fc.record({ cpu, memory: bytes, 'ephemeral-storage': bytes }, { requiredKeys: [] })
const source = fc.record(
  {
    emptyDir: fc.constant({}),
    persistentVolumeClaim: fc.constant({}),
    secret: fc.record({ secretName: secret }),
    configMap: fc.constant({}),
  },
  { requiredKeys: [] },
)
const one = fc.oneof(source, fc.record({ secret: fc.record({ secretName: secret }) }), fc.constant({ emptyDir: {} }))
const volume = fc.tuple(word, one).map(([mountPath, from]) => ({ mountPath, ...from }))
const customClaims = fc.array(claim, { maxLength: 2 })
const customJWT = fc.oneof(
  fc.record({ discoveryUrl }),
  fc.record({ discoveryUrl, customClaims }),
  fc.record({ discoveryUrl, allowedAudience: words, allowedClients: words, allowedScopes: words, customClaims }, { requiredKeys: [] }),
)

/** In nanos: what a Quantity is to the API server's own library. */
class Quantity {
  readonly nanos: bigint
  constructor(text: string) {
    const [, digits, suffix] = /^([0-9.]+)(.*)$/.exec(text)!
    const [whole, fraction = ''] = digits!.split('.')
    this.nanos = (BigInt(whole! + fraction) * 10n ** 9n * UNITS[suffix!]![0]) / UNITS[suffix!]![1] / 10n ** BigInt(fraction.length)
  }
}
const UNITS: Record<string, [bigint, bigint]> = {
  '': [1n, 1n],
  m: [1n, 1000n],
  G: [10n ** 9n, 1n],
  Mi: [2n ** 20n, 1n],
  Gi: [2n ** 30n, 1n],
}

/** Kubernetes' own functions, beside CEL's; they are not the evaluator's. */
const CEL = new Environment({ unlistedVariablesAreDyn: true })
  .registerType('Quantity', Quantity)
  .registerFunction('quantity(string): Quantity', (text: string) => new Quantity(text))
  .registerFunction('Quantity.compareTo(Quantity): int', (a: Quantity, b: Quantity) =>
    BigInt(Number(a.nanos > b.nanos) - Number(a.nanos < b.nanos)),
  )

/** Small worlds, so that equal and neighbouring values are common. */
const RANDOM: [Kind, fc.Arbitrary<object>][] = [
  [
    AGENT_RUNTIMES as Kind,
    fc.record({
      spec: fc.record({
        artifact: fc.record({ container, code }, { requiredKeys: [] }),
        lifecycle: fc.record({ idleTimeoutSeconds: seconds, maxLifetimeSeconds: seconds }),
        sessionOwnership: fc.constantFrom('Caller', 'Runtime'),
        endpoints: fc.array(fc.record({ name: fc.constantFrom('DEFAULT', 'canary'), version: incarnation }), { maxLength: 2 }),
        authorizer: fc.record({ customJWT }, { requiredKeys: [] }),
        environment: fc.array(variable, { maxLength: 2 }),
        resources: fc.record({ limits, requests }, { requiredKeys: ['limits'] }),
        volumes: fc.array(volume, { maxLength: 2 }),
      }),
    }),
  ],
  [AGENT_SESSIONS as Kind, fc.record({ spec, status }, { requiredKeys: ['spec'] })],
]

for (const [kind, objects] of RANDOM) {
  for (const [index, rule] of kind.rules.entries()) {
    test(`CEL and its twin agree: ${kind.kind} ${rule.path || 'root'}, rule ${index}: ${rule.message}`, () => {
      const seen = { kept: 0, broken: 0 }
      const compare = (old: object, now: object): void => {
        const [self, oldSelf] = [valueAt(now, rule.path), valueAt(old, rule.path)]
        if (self === undefined || (rule.holdsOnUpdate && oldSelf === undefined)) return
        const twin = rule.holdsOnUpdate ? rule.holdsOnUpdate(self as never, oldSelf as never) : rule.holds!(self as never)
        assert.equal(twin, CEL.evaluate(rule.cel, { self: inCel(self), oldSelf: inCel(oldSelf) }), rule.cel)
        seen[twin ? 'kept' : 'broken'] += 1
      }
      // Without the null prototypes that fast-check mixes in: no object from JSON has one.
      const plain = objects.map((object) => JSON.parse(JSON.stringify(object)) as object)
      fc.assert(fc.property(plain, plain, compare), { numRuns: 2_000 })
      assert.ok(seen.kept > 5 && seen.broken > 5, `both outcomes were tried: ${JSON.stringify(seen)}`)
    })
  }
}

test('every rule has exactly one twin, and one about oldSelf says so', () => {
  for (const rule of RANDOM.flatMap(([kind]) => kind.rules)) {
    assert.equal(Number(rule.holds !== undefined) + Number(rule.holdsOnUpdate !== undefined), 1, rule.message)
    assert.equal(rule.holdsOnUpdate !== undefined, /\boldSelf\b/.test(rule.cel), rule.message)
  }
})

test('each rule stands in the schema at its path', () => {
  for (const [kind] of RANDOM) {
    for (const rule of kind.rules) {
      const at = rule.path === '' ? schemaOf(kind) : rule.path.split('.').reduce((schema, key) => schema.properties![key]!, schemaOf(kind))
      assert.ok(
        at['x-kubernetes-validations']?.some(({ rule: said, message }) => said === rule.cel && message === rule.message),
        rule.message,
      )
    }
  }
})

test('a rule whose path or field the schema does not have is refused when the schema is built', () => {
  const rule: Rule = { path: 'spec', cel: 'true', message: 'm', holds: () => true }
  const root = { type: 'object', properties: { spec: { type: 'object', properties: { a: { type: 'string', maxLength: 1 } } } } } as const
  const schema = structuredClone(root) as never
  assert.throws(() => withRules(schema, [{ ...rule, path: 'spec.b' }]), /a rule names spec\.b/)
  assert.throws(() => withRules(schema, [{ ...rule, fieldPath: '.b' }]), /the rule at spec names \.b/)
  assert.doesNotThrow(() => withRules(schema, [{ ...rule, fieldPath: '.a' }]))
  assert.deepEqual(schema, root, 'the schema given stays as it was')
})

test('a twin that finds a field missing in what an older schema let in counts as broken', () => {
  const rule: Rule = {
    path: 'spec',
    cel: 'self.a.b == oldSelf.a.b',
    message: 'm',
    holdsOnUpdate: (now: { a: { b: number } }, before: typeof now) => now.a.b === before.a.b,
  }
  assert.deepEqual(ruleCauses([rule], { spec: {} }, { spec: {} }), [
    { reason: 'FieldValueInvalid', field: 'spec', message: 'Invalid value: m' },
  ])
  assert.deepEqual(ruleCauses([rule], { spec: {} }, undefined), [], 'and is not asked at all on a create')
})

function valueAt(object: object, path: string): unknown {
  return path === ''
    ? object
    : path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], object)
}

/** CEL tells integers from doubles; the evaluator takes BigInts for the former. */
function inCel(value: unknown): unknown {
  if (typeof value === 'number') return BigInt(value)
  if (Array.isArray(value)) return value.map(inCel)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key.replaceAll('-', '__dash__'), inCel(inner)]))
}
