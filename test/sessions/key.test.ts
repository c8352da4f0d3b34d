import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { podName, sameIdentity, sessionName, type SessionIdentity } from '../../src/sessions/key.ts'
import { agentRuntimeArn, agentRuntimeId } from '../../src/sessions/runtime-id.ts'

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })
const identity: fc.Arbitrary<SessionIdentity> = fc.record({
  runtimeName: fc.constantFrom('hello', 'a', 'b'.repeat(35)),
  runtimeUID: fc.uuid(),
  endpoint: fc.constantFrom('DEFAULT', 'prod'),
  owner: fc.record({ kind: fc.constantFrom('kubernetes', 'jwt'), issuer: text, subject: text }),
  sessionId: fc.string({ minLength: 33, maxLength: 256 }),
})

test('two identities share a name only when they are the same, field by field', () => {
  fc.assert(
    fc.property(identity, identity, (a, b) => {
      const named = { ...b, runtimeName: a.runtimeName }
      assert.equal(sessionName(a) === sessionName(named), sameIdentity(a, named))
    }),
  )
})

test('moving a character across a field border makes another session: the hashed input is length-prefixed', () => {
  fc.assert(
    fc.property(identity, text, (base, extra) => {
      const left = { ...base, owner: { ...base.owner, issuer: base.owner.issuer + extra } }
      const right = { ...base, owner: { ...base.owner, subject: extra + base.owner.subject } }
      assert.notEqual(sessionName(left), sessionName(right))
    }),
  )
})

test('owners are compared byte-exact: neither case nor Unicode form is folded', () => {
  const base: SessionIdentity = {
    runtimeName: 'r',
    runtimeUID: 'u',
    endpoint: 'DEFAULT',
    owner: { kind: 'k', issuer: 'i', subject: '' },
    sessionId: 's'.repeat(33),
  }
  const names = ['é', 'e\u0301', 'É', 'e', 'E'].map((subject) => sessionName({ ...base, owner: { ...base.owner, subject } }))
  assert.equal(new Set(names).size, names.length)
})

test('of 20,000 tuples of issuer, subject and id that look alike, no two share a name', () => {
  // Few pieces, often joined: the same text falls apart into issuer, subject and id in many ways.
  const piece = fc.constantFrom(
    'a',
    'b',
    'https://id',
    '/',
    ':',
    '|',
    '\u0000',
    ' ',
    '"',
    '\\',
    'é',
    'e\u0301',
    'É',
    'ß',
    'ss',
    'İ',
    'i\u0307',
    '𝒶',
    '\ufeff',
    '\u200d',
  )
  const joined = fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join(''))
  const tuple = fc.tuple(fc.constantFrom('kubernetes', 'jwt', 'user'), joined, joined, joined)
  const names = new Map<string, string>()
  for (const [kind, issuer, subject, tail] of fc.sample(tuple, 20_000)) {
    const owner = { kind, issuer, subject }
    const fields = { runtimeName: 'r', runtimeUID: 'u', endpoint: 'DEFAULT', owner, sessionId: `${'s'.repeat(33)}${tail}` }
    const [name, told] = [sessionName(fields), JSON.stringify([kind, issuer, subject, tail])]
    assert.equal(names.get(name) ?? told, told)
    names.set(name, told)
  }
  assert.ok(names.size > 15_000, String(names.size))
})

test('names are DNS labels, and a pod of the millionth incarnation still is one', () => {
  fc.assert(
    fc.property(identity, (any) => {
      const pod = podName(sessionName(any), 999_999)
      assert.match(pod, /^[a-z]([-a-z0-9]*[a-z0-9])?$/)
      assert.ok(pod.length <= 63, pod)
    }),
  )
})

test('a runtime id comes from the uid alone, has the AWS shape, and changes when the runtime is made anew', () => {
  const id = agentRuntimeId({ metadata: { name: 'my-agent', uid: 'first' } })
  assert.match(id, /^my_agent-[a-zA-Z0-9]{10}$/)
  assert.notEqual(id, agentRuntimeId({ metadata: { name: 'my-agent', uid: 'second' } }))
  assert.equal(
    agentRuntimeArn(id, { accountId: '000000000000', region: 'us-east-1' }),
    `arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/${id}`,
  )
})
