import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { INCARNATION_LABEL, SESSION_UID_LABEL } from '../../src/crds/agent-session.ts'
import type { Pod } from '../../src/kube/objects.ts'
import type { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { replicasOf, replicated } from './kit.ts'
import { everyOperatorFollows, leaderOf } from './leader.ts'

const OPENS_WITHIN_MS = 5_000
const HAND_OVER_WITHIN_MS = 1_000
/** What this test itself may be late in seeing it. */
const SEEN_MS = 500
/** Longer than the leader's Lease. */
const PAUSE_MS = 8_000
const SESSIONS = 4

test('the leading operator killed: a new session opens within 5 s of the kill', async (t) => {
  const installation = await replicated(t)
  if (!installation) return
  const arn = await installation.apply(runtimeManifest('probe'))
  const times: number[] = []
  for (let round = 0; round < 3; round += 1) {
    await everyOperatorFollows(installation)
    const { pid } = await leaderOf(installation)
    const killedAtMs = performance.now()
    process.kill(pid, 'SIGKILL')
    await installation.gateway.ask(arn, newSessionId(), { do: 'boot' })
    times.push(performance.now() - killedAtMs)
  }
  t.diagnostic(`${times.map(Math.round).join(', ')} ms`)
  for (const ms of times) assert.ok(ms <= OPENS_WITHIN_MS + SEEN_MS, `${ms} ms`)
})

test('the leading operator told to end: the other leads within 1 s', async (t) => {
  const installation = await replicated(t)
  if (!installation) return
  await everyOperatorFollows(installation)
  const { pid, identity } = await leaderOf(installation)
  const endedAtMs = performance.now()
  process.kill(pid, 'SIGTERM')
  let next = await leaderOf(installation)
  while (next.identity === identity) next = await leaderOf(installation)
  const ms = performance.now() - endedAtMs
  t.diagnostic(`${Math.round(ms)} ms`)
  assert.ok(ms <= HAND_OVER_WITHIN_MS + SEEN_MS, `${ms} ms`)
})

test('two leaders at once, the old one paused and resumed, never give a session two routable pods', async (t) => {
  const installation = await replicated(t)
  if (!installation) return
  const arn = await installation.apply(runtimeManifest('probe'))
  const ids = Array.from({ length: SESSIONS }, newSessionId)
  const end = new AbortController()
  const watching = twoRoutable(installation, end.signal)
  const working = Promise.all(ids.map((id) => openAndStop(installation, arn, id, end.signal)))

  await everyOperatorFollows(installation)
  const old = await leaderOf(installation)
  process.kill(old.pid, 'SIGSTOP')
  await wait(PAUSE_MS)
  const current = await leaderOf(installation)
  assert.notEqual(current.identity, old.identity, 'the other leads meanwhile')
  process.kill(old.pid, 'SIGCONT')
  await wait(PAUSE_MS / 2)
  assert.equal((await leaderOf(installation)).identity, current.identity, 'the old one does not lead again')
  assert.ok(!replicasOf(installation).operators.some(({ pid }) => pid === old.pid), 'it has ended, to be started anew as a candidate')

  end.abort()
  const incarnations = await working
  t.diagnostic(`incarnations opened: ${incarnations.join(', ')}`)
  for (const count of incarnations) assert.ok(count >= 2, 'sessions were opened and stopped all the while')
  assert.deepEqual(await watching, [])
})

/** Opens and stops a session again and again; how often it was opened. */
async function openAndStop(installation: LocalInstallation, arn: string, sessionId: string, signal: AbortSignal): Promise<number> {
  let opened = 0
  while (!signal.aborted) {
    const answer = await installation.gateway.invoke(arn, sessionId, { do: 'boot' })
    if (answer.status === 200) opened += 1
    // Still ending: come again. Or it went to the other gateway before that had seen the stop, and was cut off by it.
    else assert.ok(answer.status === 409 || /\(Stopped\) before/.test(answer.body), `${answer.status} ${answer.body}`)
    await installation.gateway.stop(arn, sessionId)
  }
  return opened
}

/**
 * Looks at all pods and sessions until the signal aborts. A pod is routable when its session names its UID and its labels
 * name that session and incarnation (design rule 1); two such pods of one session are told of.
 */
async function twoRoutable({ api }: LocalInstallation, signal: AbortSignal): Promise<string[]> {
  const found: string[] = []
  let looks = 0
  while (!signal.aborted) {
    const { body } = await api.call<{ items: Pod[] }>('GET', `/api/v1/namespaces/default/pods?labelSelector=${SESSION_UID_LABEL}`)
    const alive = body.items.filter(({ metadata, status }) => !metadata.deletionTimestamp && status?.phase !== 'Failed' && status?.podIP)
    const groups = Map.groupBy(alive, ({ metadata }) => `${metadata.labels?.[SESSION_UID_LABEL]} ${metadata.labels?.[INCARNATION_LABEL]}`)
    const bySession = Map.groupBy(alive, ({ metadata }) => metadata.labels?.[SESSION_UID_LABEL])
    for (const [key, pods] of groups) if (pods.length > 1) found.push(`incarnation ${key}: ${pods.length} pods`)
    for (const [key, pods] of bySession) if (pods.length > 1) found.push(`session ${key}: ${pods.length} pods live at once`)
    looks += 1
    await wait(20)
  }
  assert.ok(looks > 20, `it was looked at ${looks} times`)
  return found
}
