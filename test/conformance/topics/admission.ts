/** Our kinds are judged alike: each known good and bad manifest, and each CEL rule beside its twin over random objects. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { AGENT_RUNTIMES } from '../../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS, PHASES } from '../../../src/crds/agent-session.ts'
import type { Kind } from '../../../src/crds/define-kind.ts'
import { CASES } from '../../crds/cases.ts'
import { conformance, type Stage } from '../conformance.ts'
import { runtime, session } from '../objects.ts'
import type { Answer, Loose } from '../wire.ts'

/** Set it to repeat a run. */
const SEED = Number(process.env['CARREL_TEST_SEED'] ?? Date.now() % 1_000_000)
const VALUES = Number(process.env['CARREL_TEST_VALUES'] ?? 100)
const AT_ONCE = 8
const resourceOf = (kind: { plural: string }) => kind.plural as 'agentruntimes' | 'agentsessions'

conformance('each manifest of the admission cases', async (on) => {
  const fresh = (object: Loose, name: string = object.metadata.name): Loose => {
    const { uid: _uid, resourceVersion: _version, namespace: _namespace, ...metadata } = object.metadata
    return { ...object, metadata: { ...metadata, name } }
  }
  let onlyOnceLetIn = 0
  for (const [index, { title, kind, object, old, subresource }] of CASES.entries()) {
    const at = on.at(resourceOf(kind))
    if (old === undefined) {
      const { status, body, headers } = await on.ask('POST', at, { body: fresh(object), query: { dryRun: 'All' } })
      on.record(title, { warning: headers.warning, ...verdictOf({ status, body, headers }) })
      continue
    }
    const name = `case-${index}`
    const made = await on.ask('POST', at, { body: fresh(old, name) })
    if (made.status !== 201) {
      onlyOnceLetIn += 1
      continue
    }
    const { status: oldStatus } = old as Loose
    if (oldStatus) await on.ask('PUT', `${at}/${name}/status`, { body: { ...made.body, status: oldStatus } })
    const { metadata } = (await on.ask('GET', `${at}/${name}`)).body
    const answer = await on.ask('PUT', [at, name, subresource].filter(Boolean).join('/'), { body: { ...object, metadata } })
    on.record(title, verdictOf(answer))
  }
  assert.equal(
    onlyOnceLetIn,
    CASES.filter(({ title }) => title.startsWith('an old ')).length,
    'what an older schema let in cannot be made any more',
  )
})

interface Verdict {
  status: number
  /** Of what was let in. */
  object?: object
  /** Field, what is wrong, and reason; in no order, as a real server has none. */
  broken: string[]
  /** Of one cause; of several it is made of them. */
  message?: string
}

function verdictOf({ status, body }: Answer): Verdict {
  if (status < 300) return { status, object: body as object, broken: [] }
  assert.equal(status, 422, JSON.stringify(body))
  const { causes } = body.details as { causes: { field: string; message: string; reason: string }[] }
  const broken = causes.map(({ field, message, reason }) => `${field}: ${message} (${reason})`).toSorted()
  return { status, broken, ...(causes.length === 1 ? { message: body.message as string } : {}) }
}

/** How often each rule was kept and broken; both have to have happened, or the comparison says nothing. */
function checkTried(kind: Kind, verdicts: readonly Verdict[]): void {
  for (const { message, cel } of kind.rules) {
    const broken = verdicts.filter((verdict) => verdict.broken.some((cause) => cause.includes(message))).length
    assert.ok(broken > 0 && broken < verdicts.length, `seed ${SEED}: ${broken} of ${verdicts.length} objects broke ${cel}`)
  }
}

async function judgeAll(on: Stage, title: string, calls: readonly (() => Promise<Answer>)[]): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  for (let from = 0; from < calls.length; from += AT_ONCE) {
    const answers = await Promise.all(calls.slice(from, from + AT_ONCE).map((call) => call()))
    verdicts.push(...answers.map(verdictOf))
  }
  for (const [index, verdict] of verdicts.entries()) on.record(`seed ${SEED}, ${title} ${index}`, verdict)
  return verdicts
}

const sample = <Value>(values: fc.Arbitrary<Value>, count: number): Value[] =>
  fc.sample(values, { seed: SEED, numRuns: count }).map((value) => JSON.parse(JSON.stringify(value)) as Value)

const either = fc.constantFrom('Caller', 'Runtime')

/** Half of them with an authorizer that only its claims can break. */
function authorizers(): fc.Arbitrary<object> {
  const discoveryUrl = fc.constant('https://provider.example/.well-known/openid-configuration')
  const claimMatchValue = fc.record({ matchValueString: fc.constant('a'), matchValueStringList: fc.constant(['a']) }, { requiredKeys: [] })
  const claimMatchOperator = fc.constantFrom('EQUALS', 'CONTAINS', 'CONTAINS_ANY')
  const claim = fc.record({
    inboundTokenClaimName: fc.constant('team'),
    inboundTokenClaimValueType: fc.constantFrom('STRING', 'STRING_ARRAY'),
    authorizingClaimMatchValue: fc.record({ claimMatchOperator, claimMatchValue }),
  })
  const conditions = { allowedAudience: fc.constant(['a']), customClaims: fc.array(claim, { minLength: 1, maxLength: 2 }) }
  const customJWT = fc.record({ discoveryUrl, ...conditions }, { requiredKeys: ['discoveryUrl'] })
  return fc.oneof(
    customJWT.map((each) => ({ customJWT: each })),
    fc.record({ customJWT }, { requiredKeys: [] }),
  )
}

/** Fields of the pod that only their rules can break, in several spellings of few amounts. */
function ofThePod(): Record<string, fc.Arbitrary<unknown>> {
  const secretName = fc.constantFrom('meter-a', 'mine')
  const secretKeyRef = fc.record({ name: secretName, key: fc.constant('a') })
  const variable = fc.record({ value: fc.constant(''), valueFrom: fc.record({ secretKeyRef }) }, { requiredKeys: [] })
  const cpu = fc.constantFrom(1, 2, '1', '1500m', '0.5')
  const bytes = fc.constantFrom(1_000_000_000, '1G', '1Gi', '1024Mi', '0.5Gi', '1.001G', '2000000k')
  const amounts = fc.record({ cpu, memory: bytes, 'ephemeral-storage': bytes }, { requiredKeys: [] })
  const source = fc.oneof(
    fc.constant({ emptyDir: {} }),
    secretName.map((each) => ({ secret: { secretName: each } })),
    fc.record({ configMap: fc.constant({ name: 'a' }), persistentVolumeClaim: fc.constant({ claimName: 'a' }) }, { requiredKeys: [] }),
  )
  const volumes = fc.array(fc.tuple(fc.constantFrom('/a', '/b'), source), { maxLength: 2 })
  return {
    environment: variable.map((each) => [{ name: 'A', ...each }]),
    resources: fc.record({ limits: amounts, requests: amounts }, { requiredKeys: [] }),
    volumes: volumes.map((all) => all.map(([mountPath, from], at) => ({ name: `v${at}`, mountPath, ...from }))),
  }
}

conformance('CEL rules of an AgentRuntime and their twins', async (on) => {
  const seconds = fc.integer({ min: 1, max: 30 })
  const artifact = fc.record(
    { container: fc.constant({ image: 'a' }), code: fc.constant({ directory: 'a', command: ['a'] }) },
    { requiredKeys: [] },
  )
  const endpoints = fc.constantFrom('DEFAULT', 'a').map((name) => [{ name, version: 1 }])
  const specs = fc.record(
    {
      artifact,
      lifecycle: fc.record({ idleTimeoutSeconds: seconds, maxLifetimeSeconds: seconds }),
      sessionOwnership: either,
      endpoints,
      authorizer: authorizers(),
      ...ofThePod(),
    },
    { requiredKeys: ['artifact', 'lifecycle'] },
  )
  const olds: Loose[] = []
  for (const sessionOwnership of ['Caller', 'Runtime'])
    olds.push(
      await on.make(
        'agentruntimes',
        runtime(`old-${sessionOwnership.toLowerCase()}`, ({ spec }) => Object.assign(spec, { sessionOwnership })),
      ),
    )
  const calls = sample(specs, VALUES * 3).map((spec, index) => {
    const old = olds[index % 4]
    if (old === undefined) {
      const body = runtime('random', (made) => (made.spec = spec))
      return () => on.ask('POST', on.at('agentruntimes'), { query: { dryRun: 'All' }, body })
    }
    return () => on.ask('PUT', on.at('agentruntimes', old.metadata.name), { query: { dryRun: 'All' }, body: { ...old, spec } })
  })
  checkTried(AGENT_RUNTIMES as Kind, await judgeAll(on, 'runtime', calls))
})

conformance('CEL rules of an AgentSession and their twins', async (on) => {
  const incarnation = fc.integer({ min: 1, max: 3 })
  const word = fc.constantFrom('a', 'b')
  const statuses = fc.record({ incarnation, phase: fc.constantFrom(...PHASES), podUID: word }, { requiredKeys: [] })
  const specs = fc.record({
    runtimeRef: fc.record({ name: word, uid: word }),
    endpoint: word,
    sessionId: word.map((each) => each.repeat(33)),
    owner: fc.record({ kind: word, issuer: word, subject: word }),
    incarnation,
    stopThrough: fc.integer({ min: 0, max: 2 }),
  })
  const olds = sample(fc.record({ spec: specs, status: fc.option(statuses, { freq: 10 }) }), 20)
  const made: Loose[] = []
  for (const [index, { spec, status }] of olds.entries()) {
    const name = `old-${index}`
    const created = await on.ask('POST', on.at('agentsessions'), { body: session(name, (one) => (one.spec = spec)) })
    assert.equal(created.status, 201, JSON.stringify(created.body))
    if (status) assert.equal((await on.ask('PATCH', on.at('agentsessions', name, 'status'), { body: { status } })).status, 200)
    made.push((await on.ask('GET', on.at('agentsessions', name))).body)
  }
  const each = Math.ceil((VALUES * AGENT_SESSIONS.rules.length) / made.length / 2)
  // Half of the new specs differ in one field, so that a single rule decides.
  const changes = fc.oneof(specs, fc.record({ incarnation, stopThrough: fc.integer({ min: 0, max: 2 }) }, { requiredKeys: [] }))
  const calls = made.flatMap((old, index) => {
    const { name } = old.metadata
    const offset = <Value>(values: fc.Arbitrary<Value>): Value[] => sample(values, each * (index + 1)).slice(-each)
    return [
      ...offset(changes).map(
        (change) => () =>
          on.ask('PUT', on.at('agentsessions', name), { query: { dryRun: 'All' }, body: { ...old, spec: { ...old.spec, ...change } } }),
      ),
      ...offset(fc.option(statuses, { freq: 10 })).map(
        (status) => () =>
          on.ask('PUT', on.at('agentsessions', name, 'status'), {
            query: { dryRun: 'All' },
            body: { ...old, status: status ?? undefined },
          }),
      ),
    ]
  })
  checkTried(AGENT_SESSIONS as Kind, await judgeAll(on, 'session', calls))
})
