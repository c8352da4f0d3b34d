import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linesOf } from '../../src/cli/logs/line.ts'
import { Workplace } from './workplace.ts'

const RUNNING = { incarnation: 1, phase: 'Running', startedAt: '2026-11-24T07:59:00Z', podName: 'a-1', podUID: 'pod-a' } as const

async function oneSession(): Promise<Workplace> {
  const place = await Workplace.start()
  await place.session('a', {}, RUNNING)
  await place.pod('a-1')
  place.logs.set('a-1', { parts: ['one\ntw', 'o\n', 'three\n'] })
  return place
}

test('a log is shown by name, by whole id and by the id as it is listed', async () => {
  const place = await oneSession()
  for (const wanted of ['a', `a-${'0'.repeat(33)}`, 'a-0000000000…000000']) {
    assert.deepEqual(await place.run('logs', wanted), { code: 0, out: 'one\ntwo\nthree', notes: '' })
  }
  assert.equal((await place.run('logs a --tail 1')).out, 'three')
  assert.equal((await place.run('logs a --container meter')).code, 1)
})

test('nothing in a log is obeyed by a terminal, and no credential is in it', async () => {
  const place = await oneSession()
  place.logs.set('a-1', { parts: ['\u001b[31mred\u001b[0m\tBearer abcdefghijkl\r\n', 'x\u202ey\n', 'no line feed'] })
  assert.equal((await place.run('logs a')).out, 'red\tBearer [redacted]\nx\\u202ey\nno line feed')
})

test('a line that never ends is shown in parts, and none is lost', async () => {
  async function* parts(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < 40; at += 1) yield Buffer.from('é'.repeat(5_000)).subarray(0, 9_999)
  }
  const lines: string[] = []
  for await (const line of linesOf(parts())) lines.push(line)
  assert.ok(lines.length > 2 && lines.every((line) => line.length < 200_000))
  assert.ok(lines.join('').length >= 40 * 4_999)
})

test('whose session it is, when an id has several', async () => {
  const place = await oneSession()
  const sessionId = `a-${'0'.repeat(33)}`
  await place.session('b', { sessionId, owner: { kind: 'jwt', issuer: 'https://idp', subject: 'bo\u001bb' } })
  const ran = await place.run('logs', sessionId)
  assert.equal(ran.code, 1)
  assert.match(ran.notes, /2 sessions are called a-0+\. Say which by its name:\n {2}[ab] {3}hello, endpoint DEFAULT, of/)
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(ran.notes, /\u001b/)
  const none = await place.run('logs nobody -n carrel-system')
  assert.deepEqual([none.code, none.out], [1, ''])
  assert.match(none.notes, /no session in namespace carrel-system is called nobody.*\n`carrel sessions` lists/)
  assert.equal((await place.run('logs a --tail few')).code, 2)
})

test('an ended session shows the lines that it kept', async () => {
  const place = await Workplace.start()
  const ended = {
    ...RUNNING,
    phase: 'Terminated',
    endedAt: '2026-11-24T07:59:30Z',
    endReason: 'StartFailed',
    endMessage: 'no ping',
  } as const
  await place.session('a', {}, { ...ended, lastLog: ['Traceback', '\u001b[2Jboom'] })
  const ran = await place.run('logs a')
  assert.deepEqual([ran.code, ran.out], [0, 'Traceback\nboom'])
  assert.match(ran.notes, /it is over \(StartFailed: no ping\) and its pod is gone\. These are the last lines that were kept/)
  await place.session('b', {}, { ...ended, podName: 'b-1', endReason: 'IdleTimeout' })
  const none = await place.run('logs b')
  assert.equal(none.code, 1)
  assert.match(none.notes, /Only the last lines of an agent that failed are kept; collect the logs of pods to have all/)
})

test('a session without a pod has no log yet, and says how to wait for it', async () => {
  const place = await Workplace.start()
  await place.session('a')
  const ran = await place.run('logs a')
  assert.deepEqual([ran.code, ran.out], [1, ''])
  assert.match(ran.notes, /session a has no pod yet\. Wait for it: carrel logs a --follow/)
})

test('followed, it waits for the pod, goes on until Ctrl-C, and then says nothing of an end', async () => {
  const place = await Workplace.start()
  const session = await place.session('a')
  const running = place.run('logs a --follow')
  await place.advance(2_000)
  const { AGENT_SESSIONS } = await import('../../src/crds/agent-session.ts')
  await place.client.replace(AGENT_SESSIONS, { ...session, status: RUNNING }, 'status')
  await place.pod('a-1')
  place.logs.set('a-1', { parts: ['hello\n'], isOpen: true })
  await place.advance(2_000)
  place.enough.abort()
  await place.advance(1_000)
  assert.deepEqual(await running, { code: 0, out: 'hello', notes: 'session a has no pod yet: waiting' })
})

test('a followed log that ends says why the session ended', async () => {
  const place = await Workplace.start()
  await place.session('a', {}, { ...RUNNING, phase: 'Terminating', endReason: 'OutOfMemory', endMessage: 'killed at 1Gi' })
  await place.pod('a-1')
  place.logs.set('a-1', { parts: ['last\n'] })
  const ran = await place.run('logs a -f')
  assert.deepEqual(ran, { code: 0, out: 'last', notes: '\nsession a ended: OutOfMemory: killed at 1Gi' })
})

test('who may not read is told what to ask an administrator for', async () => {
  const place = await oneSession()
  const ran = await place.runAsNobody('logs a')
  assert.equal(ran.code, 1)
  assert.match(ran.notes, /kubectl create role carrel-cli -n default --verb=list --resource=agentsessions\.carrel\.dev/)
})
