import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../kit/eventually.ts'
import { freePort } from '../kit/free-port.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'
import { ARN, answerOk, serve } from './served.ts'

test('a pod that refuses the connection is entered again, so the call reaches the next pod', async (t) => {
  const served = await serve(t)
  const good = served.sessions.pod
  served.sessions.pod = { ...served.sessions.pod, uid: 'pod-0', port: await freePort() }
  const enter = served.sessions.enter.bind(served.sessions)
  served.sessions.enter = (...parameters) => {
    if (served.sessions.entered.length === 1) served.sessions.pod = good
    return enter(...parameters)
  }
  assert.equal((await served.raw.invoke(ARN, newSessionId(), {})).status, 200)
  assert.deepEqual([served.sessions.entered.length, served.sessions.refusals, served.sessions.held], [2, 1, 0])
})

test('a pod that goes on refusing is 424 in the end', async (t) => {
  const served = await serve(t)
  served.sessions.pod = { ...served.sessions.pod, uid: 'pod-0', port: await freePort() }
  assert.equal(errorOf(await served.raw.invoke(ARN, newSessionId(), {})).status, 424)
  assert.deepEqual([served.sessions.entered.length, served.sessions.held], [3, 0])
})

test('a new pod at an old address gets no connection of the old one', async (t) => {
  const sockets = new Set<unknown>()
  const served = await serve(t, (request, response) => {
    sockets.add(request.socket)
    answerOk(request, response)
  })
  const invoke = async (): Promise<void> => assert.equal((await served.raw.invoke(ARN, newSessionId(), {})).status, 200)
  await invoke()
  await invoke()
  assert.equal(sockets.size, 1, 'connections of one pod are kept')
  served.sessions.pod = { ...served.sessions.pod, uid: 'pod-2' }
  await invoke()
  assert.equal(sockets.size, 2)
})

test("when a pod's route goes, its open calls break off and its connections end", async (t) => {
  const served = await serve(t, (_request, response) => void response.writeHead(200).write('first'))
  const call = served.raw.invoke(ARN, newSessionId(), {})
  await eventually(() => served.reached.length === 1, { withinMs: 10_000, because: 'the agent has the call' })
  served.pools.remove('pod-1', 'at once')
  await assert.rejects(call)
  await eventually(() => served.reached[0]!.socket.destroyed, { withinMs: 10_000, because: 'the connection has ended' })
  assert.equal(served.pools.size, 0)
})

test('a call that was let in just before its pod went makes no pool for it', async (t) => {
  const served = await serve(t)
  served.pools.remove('pod-1', 'gently')
  assert.equal((await served.raw.invoke(ARN, newSessionId(), {})).status, 424)
  assert.deepEqual([served.pools.size, served.reached.length], [0, 0])
})
