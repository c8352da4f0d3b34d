import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { TransportError } from '../../src/kube/errors.ts'
import { EventRecorder, type KubeEvent } from '../../src/kube/events.ts'
import { KeptObjects } from './kept-objects.ts'
import { thing } from './objects.ts'
import { virtualEnv } from './quiet-env.ts'
import { refusal } from './scripted-transport.ts'

const MINUTE_MS = 60_000

function recording() {
  const env = virtualEnv()
  const server = new KeptObjects()
  const recorder = new EventRecorder(env, new KubeClient(server), { controller: 'carrel.dev/operator', instance: 'operator-0' })
  const events = (): KubeEvent[] => [...server.objects.values()] as KubeEvent[]
  /** Says it, and lets it be written. */
  async function say(note: string, about = thing('a', 1)): Promise<void> {
    recorder.record(about, { type: 'Normal', reason: 'Said', action: 'Say', note })
    await recorder.flush()
  }
  const passMs = (ms: number): Promise<void> => env.clock.run(env.clock.monotonic() + ms)
  return { env, server, recorder, events, say, passMs }
}

describe('an event', () => {
  test('is what events.k8s.io/v1 demands', async () => {
    const { server, say, events } = recording()
    await say('hello')
    assert.equal(server.requests[0]!.path, '/apis/events.k8s.io/v1/namespaces/team/events')
    const { metadata, ...event } = events()[0]!
    assert.match(metadata.name, /^a\.[0-9a-f]{16}$/)
    assert.equal(metadata.namespace, 'team')
    assert.deepEqual(event, {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'carrel.dev/operator',
      reportingInstance: 'operator-0',
      action: 'Say',
      reason: 'Said',
      regarding: { apiVersion: 'test.example/v1', kind: 'Thing', namespace: 'team', name: 'a', uid: 'a' },
      note: 'hello',
      type: 'Normal',
    })
  })

  test('has a note of at most 1,024 bytes, cut between characters', async () => {
    const { say, events } = recording()
    await say('é'.repeat(512))
    await say(`x${'é'.repeat(600)}`)
    const notes = events().map(({ note }) => note)
    assert.deepEqual(notes, ['é'.repeat(512), `x${'é'.repeat(511)}`])
  })

  test('has a valid name whatever the name of its object', async () => {
    const { say, events } = recording()
    await say('x', thing(`${'a'.repeat(199)}-${'b'.repeat(53)}`, 1))
    assert.match(events()[0]!.metadata.name, /^a{199}\.[0-9a-f]{16}$/)
  })
})

describe('the same thing again', () => {
  test('is a series of one event', async () => {
    const { say, passMs, events } = recording()
    await say('hello')
    await passMs(MINUTE_MS)
    await say('hello')
    await passMs(MINUTE_MS)
    await say('hello')
    assert.equal(events().length, 1)
    assert.deepEqual(events()[0]!.series, { count: 3, lastObservedTime: '2026-01-01T00:02:00.000000Z' })
  })

  test('is a new event after six quiet minutes, about another object, or with another note', async () => {
    const { say, passMs, events } = recording()
    await say('hello')
    await say('hello', thing('b', 1))
    await say('other')
    assert.equal(events().length, 3)
    await passMs(6 * MINUTE_MS)
    await say('hello')
    assert.equal(events().length, 4)
  })

  test('is a new event when the server has forgotten the first', async () => {
    const { server, say, events } = recording()
    await say('hello')
    server.objects.clear()
    await say('hello')
    assert.equal(events().length, 1)
    assert.equal(events()[0]!.series, undefined)
    await say('hello')
    assert.equal(events()[0]!.series?.count, 2)
  })
})

describe('a flood', () => {
  test('is cut to 25 an object, then one each five minutes, and drowns no other object', async () => {
    const { server, say, passMs } = recording()
    for (let times = 0; times < 40; times += 1) await say(`note ${times}`)
    assert.equal(server.requests.length, 25)
    await say('hello', thing('b', 1))
    assert.equal(server.requests.length, 26)
    await passMs(5 * MINUTE_MS - 1)
    await say('too early')
    assert.equal(server.requests.length, 26)
    await passMs(1)
    await say('in time')
    await say('one only')
    assert.equal(server.requests.length, 27)
  })

  test('is allowed anew after a long quiet time, and no more than that', async () => {
    const { server, say, passMs } = recording()
    await passMs(1_000 * MINUTE_MS)
    for (let times = 0; times < 40; times += 1) await say(`note ${times}`)
    await passMs(1_000 * MINUTE_MS)
    for (let times = 0; times < 40; times += 1) await say(`again ${times}`)
    assert.equal(server.requests.length, 50)
  })
})

describe('a server that refuses events', () => {
  test('is no error of who records, and later events are written', async () => {
    const { env, server, recorder, events } = recording()
    server.refuseNext.push(refusal(403), refusal(500), new TransportError('cut'))
    for (const note of ['one', 'two', 'three', 'four']) recorder.record(thing('a', 1), { type: 'Warning', reason: 'R', action: 'A', note })
    assert.equal(server.requests.length, 0, 'record does not wait')
    await recorder.flush()
    assert.deepEqual(
      events().map(({ note }) => note),
      ['four'],
    )
    assert.equal(env.logged.length, 3)
  })

  test('what could not be written begins no series', async () => {
    const { server, say, events } = recording()
    server.refuseNext.push(refusal(500))
    await say('hello')
    await say('hello')
    assert.equal(events().length, 1)
    assert.equal(events()[0]!.series, undefined)
  })
})
