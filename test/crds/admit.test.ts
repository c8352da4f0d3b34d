import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { admit, type Admitted } from '../../src/crds/admit.ts'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import type { Cause } from '../../src/crds/check-value.ts'
import type { Kind } from '../../src/crds/define-kind.ts'
import { CASES, runtime } from './cases.ts'

interface Verdict {
  unknown: string[]
  causes: Cause[]
  /** With defaults; of an accepted object. */
  spec?: object
}

const verdicts = JSON.parse(readFileSync(join(import.meta.dirname, 'verdicts.json'), 'utf8')) as Record<string, Verdict>
const RUNTIMES = AGENT_RUNTIMES as Kind

test('every case has a verdict of the real API server', () => {
  const titles = CASES.map(({ title }) => title)
  assert.equal(new Set(titles).size, titles.length, 'two cases share a title')
  assert.deepEqual(Object.keys(verdicts), titles, 'record them anew: node test/crds/record.ts <judge>')
})

for (const { title, kind, object, old, subresource } of CASES) {
  test(`judged as by the real API server: ${title}`, () => {
    const verdict = verdicts[title]!
    const context = { ...(old ? { old } : {}), ...(subresource ? { subresource } : {}) }
    const admitted = admit(kind, { object, ...context, fieldValidation: 'Warn' })
    assert.deepEqual(causesOf(admitted).toSorted(byText), verdict.causes.toSorted(byText))
    if ('object' in admitted) assert.deepEqual((admitted.object as { spec?: object }).spec, verdict.spec)
    if ('object' in admitted)
      assert.deepEqual(
        admitted.warnings,
        verdict.unknown.map((field) => `unknown field "${field}"`),
      )

    const strict = admit(kind, { object, ...context, fieldValidation: 'Strict' })
    const unreadable = 'refused' in strict ? strict.refused.unreadable : undefined
    assert.equal(unreadable !== undefined, verdict.unknown.length > 0)
    if (unreadable)
      assert.deepEqual(
        causesOf(strict).map(({ field }) => field),
        verdict.unknown,
      )
  })
}

/** What each bad manifest is told, field first. */
const TABLE: [string, RegExp][] = [
  ['idle above max', /^spec\.lifecycle\.idleTimeoutSeconds: Invalid value: idleTimeoutSeconds .* must not be above maxLifetimeSeconds/],
  ['a name of 36 characters', /^metadata\.name: Too long: may not be more than 35/],
  ['no artifact', /^spec\.artifact: Required value/],
  ['an empty artifact', /^spec\.artifact: Invalid value: name what to run/],
  ['a dot in the name', /^metadata\.name: Invalid value: "a\.b": metadata\.name in body should match/],
  ['an unknown protocol', /^spec\.protocol: Unsupported value: "GOPHER": supported values: "HTTP"/],
  [
    'a string for an integer',
    /^spec\.startTimeoutSeconds: Invalid value: "string": spec\.startTimeoutSeconds in body must be of type integer: "string"/,
  ],
]

for (const [title, message] of TABLE) {
  test(`refused with the field and a reason: ${title}`, () => {
    const { kind, object } = CASES.find((one) => one.title === title)!
    const [first] = causesOf(admit(kind, { object, fieldValidation: 'Strict' }))
    assert.match(`${first?.field}: ${first?.message}`, message)
  })
}

test('an unknown field is refused, pruned with a warning, or pruned, as asked', () => {
  const object = runtime((r) => Object.assign(r.spec, { warmPool: { customJWT: {} }, zone: 1 }))
  const strict = admit(RUNTIMES, { object, fieldValidation: 'Strict' })
  assert.deepEqual(
    'refused' in strict && strict.refused.unreadable,
    'AgentRuntime in version "v1alpha1" cannot be handled as a AgentRuntime: strict decoding error: unknown field "spec.warmPool", unknown field "spec.zone"',
  )
  const warned = admit(RUNTIMES, { object, fieldValidation: 'Warn' })
  assert.deepEqual('warnings' in warned && warned.warnings, ['unknown field "spec.warmPool"', 'unknown field "spec.zone"'])
  const ignored = admit(RUNTIMES, { object, fieldValidation: 'Ignore' })
  assert.deepEqual('warnings' in ignored && ignored.warnings, [])
  for (const admitted of [warned, ignored])
    assert.ok('object' in admitted && !('warmPool' in (admitted.object as unknown as { spec: object }).spec))
})

test('what is admitted is another object; what was given stays as it was', () => {
  const object = runtime((r) => (r.spec.lifecycle = { maxLifetimeSeconds: 1000 }))
  const before = structuredClone(object)
  const once = admit(RUNTIMES, { object, fieldValidation: 'Strict' })
  assert.deepEqual(object, before)
  assert.ok('object' in once)
  assert.deepEqual(
    admit(RUNTIMES, { object: once.object, old: once.object, fieldValidation: 'Strict' }),
    once,
    'admitting again changes nothing',
  )
})

test('defaults are copies: changing one changes no other object', () => {
  const first = admit(RUNTIMES, { object: runtime(), fieldValidation: 'Strict' })
  assert.ok('object' in first)
  ;(first.object as unknown as { spec: { lifecycle: { idleTimeoutSeconds: number } } }).spec.lifecycle.idleTimeoutSeconds = 1
  const second = admit(RUNTIMES, { object: runtime(), fieldValidation: 'Strict' })
  assert.deepEqual('object' in second && (second.object as unknown as { spec: { lifecycle: object } }).spec.lifecycle, {
    idleTimeoutSeconds: 900,
    maxLifetimeSeconds: 28_800,
    stopGraceSeconds: 4,
  })
})

function causesOf(admitted: Admitted): Cause[] {
  return 'refused' in admitted ? admitted.refused.causes : []
}

function byText(a: Cause, b: Cause): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1
}
