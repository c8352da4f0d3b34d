import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TransportError } from '../../src/kube/errors.ts'
import { Workplace, usage, type Ran } from './workplace.ts'

const GATEWAY = 'https://carrel.example'

/** Three sessions of two runtimes, and a gateway that knows two of them. */
async function threeSessions(): Promise<Workplace> {
  const place = await Workplace.start()
  const running = { incarnation: 1, phase: 'Running', startedAt: '2026-11-24T07:59:00Z', expiresAt: '2026-11-24T15:59:00Z' } as const
  await place.session('a', {}, { ...running, podName: 'a-1', podUID: 'pod-a', usage: usage('1.500', '7.680', '3.840') })
  await place.session(
    'b',
    { owner: { kind: 'jwt', issuer: 'https://idp.example', subject: 'bob' } },
    { ...running, startedAt: '2026-11-24T07:00:00Z', podName: 'b-1', podUID: 'pod-b' },
  )
  await place.session(
    'c',
    { runtimeRef: { name: 'other', uid: 'u' } },
    { ...running, phase: 'Terminated', endedAt: '2026-11-24T07:59:30Z', endReason: 'StartFailed', endMessage: 'no \u001b[2Jimage' },
  )
  place.gateway.set(`${GATEWAY}/carrel/v1/namespaces/default/activity`, [
    { namespace: 'default', session: 'a', podUID: 'pod-a', state: 'active' },
    { namespace: 'default', session: 'b', podUID: 'pod-b', state: 'idle', idleForMs: 45_000, idleEndsInMs: 855_000 },
  ])
  return place
}

function cells({ out }: Ran): string[][] {
  return out.split('\n').map((line) => line.split(/ {2,}/))
}

test('sessions are shown with owner, activity, expiry, usage and end, live ones first', async () => {
  const place = await threeSessions()
  const ran = await place.run(`sessions --gateway ${GATEWAY}`)
  assert.deepEqual([ran.code, ran.notes], [0, ''])
  assert.deepEqual(cells(ran), [
    ['SESSION', 'RUNTIME', 'OWNER', 'PHASE', 'ACTIVITY', 'SINCE', 'EXPIRES', 'CPU-S', 'GB-S', 'END'],
    ['a-0000000000…000000', 'hello', 'ann', 'Running', 'Active', '60s', '7h59m', '1.500', '7.680', '-'],
    ['b-0000000000…000000', 'hello', 'bob', 'Running', 'Idle 45s', '60m', '7h59m', '-', '-', '-'],
    ['c-0000000000…000000', 'other', 'ann', 'Terminated', '-', '60s', '-', '-', '-', 'StartFailed 30s ago'],
  ])
  assert.deepEqual(place.asked, [{ url: `${GATEWAY}/carrel/v1/namespaces/default/activity`, token: 'a-token' }])
})

test('JSON has the same under stable names', async () => {
  const place = await threeSessions()
  const { out } = await place.run(`sessions -o json --gateway ${GATEWAY}`)
  const [a, b, c] = JSON.parse(out) as Record<string, unknown>[]
  assert.deepEqual(
    [a!['activity'], a!['usage'], b!['activity'], b!['idleForMs'], b!['owner'], c!['activity'], c!['endReason']],
    [
      'Active',
      { cpuSeconds: '1.500', memoryPeakGBSeconds: '7.680', memoryInUseGBSeconds: '3.840', updatedAt: '2026-11-24T07:59:30Z', final: false },
      'Idle',
      45_000,
      { kind: 'jwt', issuer: 'https://idp.example', subject: 'bob' },
      null,
      'StartFailed',
    ],
  )
})

test('wide shows whole ids, both memory rules and messages, of which no terminal obeys a character', async () => {
  const place = await threeSessions()
  const ran = await place.run('sessions -o wide')
  assert.ok(ran.out.includes(`a-${'0'.repeat(33)}`))
  assert.ok(cells(ran)[0]!.includes('GB-S IN USE') && ran.out.includes('3.840'))
  assert.ok(ran.out.includes('no image'))
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(ran.out, /\u001b/)
})

test('sessions of one runtime, of one namespace, of all', async () => {
  const place = await threeSessions()
  assert.deepEqual(
    cells(await place.run('sessions --runtime other')).map(([id]) => id),
    ['SESSION', 'c-0000000000…000000'],
  )
  const none = await place.run('sessions -n carrel-system')
  assert.deepEqual([none.code, none.out], [0, ''])
  assert.match(none.notes, /no sessions in namespace carrel-system\. The first call of a session id opens one.*-A/)
  const all = await place.run(`sessions -A --gateway ${GATEWAY}`)
  assert.deepEqual([cells(all)[0]![0], cells(all)[1]![0]], ['NAMESPACE', 'default'])
  assert.equal(place.asked.at(-1)?.url, `${GATEWAY}/carrel/v1/activity`)
  assert.equal((await place.run('sessions -A -n default')).code, 2)
  assert.equal((await place.run('sessions -n', '../x')).code, 2)
})

test('without gateway or token the column stays empty, and a line says how to get it', async () => {
  const place = await threeSessions()
  const without = await place.run('sessions')
  assert.equal(cells(without)[1]![4], '-')
  assert.match(without.notes, /--gateway URL/)
  place.variables['AWS_ENDPOINT_URL_BEDROCK_AGENTCORE'] = GATEWAY
  assert.equal(cells(await place.run('sessions'))[1]![4], 'Active')
  place.token = undefined
  assert.match((await place.run('sessions')).notes, /kubectl create token NAME --audience carrel/)
  place.variables['CARREL_GATEWAY_TOKEN'] = 'another'
  assert.equal(cells(await place.run('sessions'))[1]![4], 'Active')
  assert.equal(place.asked.at(-1)?.token, 'another')
})

for (const [gateway, why] of [
  ['http://carrel.example', 'clear text'],
  ['http://127.0.0.1.evil.example', 'clear text'],
  ['ftp://carrel.example', 'no URL of a gateway'],
  ['carrel.example', 'no URL of a gateway'],
] as const) {
  test(`the token is not sent to ${gateway}`, async () => {
    const place = await threeSessions()
    const { code, notes } = await place.run(`sessions --gateway ${gateway}`)
    assert.deepEqual([code, place.asked], [0, []])
    assert.ok(notes.includes(why), notes)
  })
}

test("a variable that names Amazon's own endpoint gets no token of the cluster", async () => {
  const place = await threeSessions()
  for (const host of ['bedrock-agentcore.us-east-1.amazonaws.com', 'bedrock-agentcore.us-east-1.api.aws']) {
    place.variables['AWS_ENDPOINT_URL_BEDROCK_AGENTCORE'] = `https://${host}`
    assert.match((await place.run('sessions')).notes, /names Amazon/)
  }
  assert.deepEqual(place.asked, [])
})

test('a gateway that does not answer, or not in this form, costs the column and no more', async () => {
  const place = await threeSessions()
  const away = await place.run('sessions --gateway https://away.example')
  assert.deepEqual([away.code, cells(away).length], [0, 4])
  assert.match(away.notes, /the gateway at https:\/\/away\.example does not answer/)
  place.gateway.set('https://odd.example/carrel/v1/namespaces/default/activity', { sessions: [] })
  assert.match((await place.run('sessions --gateway https://odd.example')).notes, /in a form that this version does not know/)
})

test("another pod's activity is not this session's", async () => {
  const place = await threeSessions()
  place.gateway.set(`${GATEWAY}/carrel/v1/namespaces/default/activity`, [
    { namespace: 'default', session: 'a', podUID: 'before', state: 'active' },
  ])
  assert.equal(cells(await place.run(`sessions --gateway ${GATEWAY}`))[1]![4], '-')
})

test('usage sums up by runtime, owner and session, all incarnations, to the thousandth', async () => {
  const place = await Workplace.start()
  const ended = { incarnation: 1, phase: 'Terminated' } as const
  await place.session('a', {}, { ...ended, usage: usage('0.001', '1.000', '0.500') })
  await place.session(
    'b',
    {},
    {
      incarnation: 1,
      phase: 'Running',
      usage: usage('0.002', '2.000', '1.000'),
      usageBefore: { incarnations: 3, ...usageOf('10.000', '20.000', '5.000') },
    },
  )
  await place.session('c', { owner: { kind: 'jwt', issuer: 'https://other', subject: 'ann' }, runtimeRef: { name: 'other', uid: 'u' } })
  const byRuntime = cells(await place.run('usage'))
  assert.deepEqual(byRuntime, [
    ['RUNTIME', 'SESSIONS', 'LIVE', 'ENDED', 'CPU-S', 'GB-S PEAK', 'GB-S IN USE', 'UNMEASURED'],
    ['hello', '2', '1', '1', '10.003', '23.000', '6.500', '-'],
    ['other', '1', '1', '0', '0.000', '0.000', '0.000', '1'],
    ['TOTAL', '3', '2', '1', '10.003', '23.000', '6.500', '1'],
  ])
  const byOwner = JSON.parse((await place.run('usage --by owner -o json')).out) as {
    items: { owner: object; cpuSeconds: string }[]
    total: object
  }
  assert.deepEqual(
    byOwner.items.map(({ owner, cpuSeconds }) => [owner, cpuSeconds]),
    [
      [{ issuer: 'kubernetes', subject: 'ann' }, '10.003'],
      [{ issuer: 'https://other', subject: 'ann' }, '0.000'],
    ],
  )
  assert.deepEqual(byOwner.total, { sessions: 3, live: 2, ended: 1, unmeasured: 1, ...usageOf('10.003', '23.000', '6.500') })
  assert.equal(cells(await place.run('usage --by session')).length, 5)
  assert.match((await place.run('usage -n carrel-system')).notes, /There are no sessions/)
  assert.equal((await place.run('usage --by colour')).code, 2)
})

function usageOf(cpuSeconds: string, memoryPeakGBSeconds: string, memoryInUseGBSeconds: string) {
  return { cpuSeconds, memoryPeakGBSeconds, memoryInUseGBSeconds }
}

test('watching on a terminal draws anew, within its size, until Ctrl-C', async () => {
  const place = await threeSessions()
  place.terminal = { columns: 60, rows: 6 }
  const running = place.run(`sessions --watch --gateway ${GATEWAY}`)
  await place.advance(100)
  assert.equal(place.drawn.length, 1)
  for (let more = 0; more < 9; more += 1) await place.session(`more-${more}`)
  await place.advance(2_000)
  const last = place.drawn.at(-1)!
  assert.ok(last.length <= 6 && last.every((line) => line.length <= 60), last.join('\n'))
  assert.match(last.join('\n'), /… and \d+ more/)
  place.enough.abort()
  await place.advance(0)
  assert.deepEqual(await running, { code: 0, out: '', notes: '' })
})

test('watching into a pipe writes a line for each session, and again when something of it changed', async () => {
  const place = await threeSessions()
  const running = place.run(`sessions -w --gateway ${GATEWAY}`)
  await place.advance(4_500)
  place.gateway.set(`${GATEWAY}/carrel/v1/namespaces/default/activity`, [
    { namespace: 'default', session: 'b', podUID: 'pod-b', state: 'active' },
  ])
  await place.advance(2_000)
  place.enough.abort()
  await place.advance(0)
  const { code, out } = await running
  assert.equal(code, 0)
  const lines = out.split('\n').map((line) => line.split('\t'))
  assert.equal(lines[0]![5], 'ACTIVITY')
  assert.deepEqual(
    lines.slice(1).map(([, id, , , , activity]) => [id![0], activity]),
    [
      ['a', 'Active'],
      ['b', 'Idle'],
      ['c', '-'],
      ['a', '-'],
      ['b', 'Active'],
    ],
  )
})

test('watching goes on while the API is away, and says so; at the start it fails', async () => {
  const place = await threeSessions()
  place.terminal = { columns: 100, rows: 20 }
  const running = place.run('usage --watch')
  await place.advance(100)
  let away = true
  place.before = () => {
    if (away) throw new TransportError('reset')
  }
  await place.advance(2_000)
  assert.match(place.drawn.at(-1)!.join('\n'), /hello[^]*Not of this moment: the Kubernetes API does not answer/)
  away = false
  await place.advance(2_000)
  assert.doesNotMatch(place.drawn.at(-1)!.join('\n'), /Not of this moment/)
  place.enough.abort()
  await place.advance(0)
  assert.equal((await running).code, 0)
  away = true
  assert.equal((await place.run('usage --watch')).code, 1)
})
