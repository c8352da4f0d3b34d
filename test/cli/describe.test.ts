import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { adviceOn } from '../../src/cli/describe/next.ts'
import { EVENTS, type KubeEvent } from '../../src/kube/events.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { CONTROLLER_REVISIONS } from '../../src/kube/resource.ts'
import { END_REASONS } from '../../src/sessions/end-reason.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { Workplace, usage } from './workplace.ts'

const GATEWAY = 'https://carrel.example'
const RUNNING = {
  incarnation: 1,
  phase: 'Running',
  version: 3,
  startedAt: '2026-11-24T07:59:00.250Z',
  expiresAt: '2026-11-24T15:59:00Z',
  podName: 'a-1',
} as const

function event(about: KubeObject, reason: string, at: string, more: Partial<KubeEvent> = {}): KubeEvent {
  const { name, namespace = 'default', uid } = about.metadata
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: `${name}.${reason.toLowerCase()}`, namespace },
    eventTime: `2026-11-24T${at}.000000Z`,
    reportingController: 'carrel.dev/operator',
    reportingInstance: 'one',
    action: 'Do',
    reason,
    regarding: { apiVersion: about.apiVersion, kind: about.kind, namespace, name, ...(uid ? { uid } : {}) },
    note: `${reason} of ${name}`,
    type: 'Normal',
    ...more,
  }
}

async function runningSession(): Promise<Workplace> {
  const place = await Workplace.start()
  const pod = await place.pod('a-1')
  const session = await place.session('a', {}, { ...RUNNING, podUID: pod.metadata.uid!, usage: usage('1.500', '7.680', '3.840') })
  const { uid } = pod.metadata
  await place.client.create(EVENTS, event(session, 'Running', '07:59:02'))
  await place.client.create(
    EVENTS,
    event(pod, 'Pulled', '07:59:01', { type: 'Warning', series: { count: 3, lastObservedTime: '2026-11-24T07:59:03.000000Z' } }),
  )
  await place.client.create(EVENTS, event({ ...pod, metadata: { ...pod.metadata, uid: 'another' } }, 'Other', '07:59:01'))
  place.logs.set('a-1', { parts: ['listening\n', 'token=\u001b[2Jx Bearer abcdefghijkl\n'] })
  place.gateway.set(`${GATEWAY}/carrel/v1/namespaces/default/activity`, [
    { namespace: 'default', session: 'a', podUID: uid, state: 'idle', idleForMs: 45_000 },
  ])
  return place
}

test('a running session: where it is, since when, what it used, what happened in order, what it wrote', async () => {
  const place = await runningSession()
  const { code, out, notes } = await place.run(`describe a --gateway ${GATEWAY}`)
  assert.deepEqual([code, notes], [0, ''])
  for (const line of [
    /^Session a$/m,
    /^ {2}Session id +a-0{33}$/m,
    /^ {2}Runtime +hello, endpoint DEFAULT, version 3$/m,
    /^ {2}Owner +ann \(kubernetes, kubernetes\)$/m,
    /^ {2}Activity +Idle for 45s$/m,
    /^ {2}Pod made +2026-11-24T07:59:00\.250Z, 59s ago$/m,
    /^ {2}Ends at the latest +2026-11-24T15:59:00Z, in 7h59m$/m,
    /^ {2}Node +node-1$/m,
    /^ {2}Address +10\.0\.0\.7$/m,
    /^ {2}Image +registry\.example\/agent:1$/m,
    /^ {2}Container agent +running since 2026-11-24T07:59:01Z$/m,
    /^ {2}GB-seconds +7\.680 by the peak, 3\.840 in use$/m,
    /^Last lines of the agent\n {2}listening\n {2}token=x Bearer \[redacted\]$/m,
  ]) {
    assert.match(out, line)
  }
  const events = out.split('Events\n')[1]!.split('\n\n')[0]!.split('\n')
  assert.deepEqual(
    events.map((line) => line.trim().split(/ {2,}/)),
    [
      ['AGO', 'OF', 'REASON', 'BY', 'WHAT'],
      ['58s', 'AgentSession', 'Running', 'carrel.dev/operator', 'Running of a'],
      ['57s', 'Pod', 'Pulled', 'carrel.dev/operator', 'Pulled of a-1 (3 times)'],
    ],
  )
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(out, /\u001b|What to do/)
})

test('one that failed: the reason, its meaning, the message, the last lines and what to do', async () => {
  const place = await Workplace.start()
  await place.session(
    'a',
    {},
    {
      ...RUNNING,
      phase: 'Terminated',
      podUID: 'gone',
      endedAt: '2026-11-24T07:59:30Z',
      endReason: 'OutOfMemory',
      endMessage: 'killed at 1Gi by the kernel',
      lastLog: ['allocating'],
      conditions: [
        {
          type: 'Ready',
          status: 'False',
          reason: 'OutOfMemory',
          message: 'killed at 1Gi\nallocating',
          lastTransitionTime: '2026-11-24T07:59:30Z',
        },
      ],
    },
  )
  const { out } = await place.run('describe session/a')
  for (const line of [
    /^ {2}Reason +OutOfMemory: the agent used more memory than spec\.resources\.limits\.memory$/m,
    /^ {2}Message +killed at 1Gi by the kernel$/m,
    /^What to do\n +Raise spec\.resources\.limits\.memory of AgentRuntime hello/m,
    /^ {2}Ended +2026-11-24T07:59:30Z, 30s ago, after 29\.75 s$/m,
    /^ {2}Name +a-1 \(gone\)$/m,
    /^ {2}Ready +False +30s +OutOfMemory +killed at 1Gi$/m,
    /^Last lines of the agent\n {2}allocating$/m,
  ]) {
    assert.match(out, line)
  }
  const told = JSON.parse((await place.run('describe a -o json')).out) as Record<string, unknown>
  assert.deepEqual(
    [told['kind'], told['endReason'], told['lastLog'], told['podSeen'], told['events']],
    ['AgentSession', 'OutOfMemory', ['allocating'], null, []],
  )
  assert.match(told['advice'] as string, /Raise spec\.resources/)
})

test('one that does not start says what its pod waits for', async () => {
  const place = await Workplace.start()
  const waiting = { reason: 'ImagePullBackOff', message: 'Back-off pulling image' }
  const pod = await place.pod('a-1', { phase: 'Pending', podIP: undefined, containerStatuses: [{ name: 'agent', state: { waiting } }] })
  await place.session('a', {}, { ...RUNNING, phase: 'Pending', podUID: pod.metadata.uid! })
  const { out } = await place.run('describe a')
  assert.match(out, /Container agent +waiting: ImagePullBackOff: Back-off pulling image/)
  assert.match(out, /What to do\n +It waits for the first good GET \/ping on port 8080/)
  await place.session('b')
  assert.match((await place.run('describe b')).out, /Phase +Pending\n[^]*The operator makes its pod/)
})

test('every end has an advice of its own', () => {
  const metadata = { name: 'a', namespace: 'team' }
  const spec = { runtimeRef: { name: 'hello', uid: 'u' }, incarnation: 1 }
  for (const endReason of END_REASONS) {
    const session = { metadata, spec, status: { incarnation: 1, phase: 'Terminated', endReason } }
    assert.ok((adviceOn(session as never, undefined) ?? '').length > 20, endReason)
  }
})

test('a runtime: its conditions, versions, endpoints, sessions and how to call it', async () => {
  const place = await Workplace.start()
  const made = await place.client.create(AGENT_RUNTIMES, runtimeManifest('hello'))
  const condition = { status: 'True', reason: 'Ready', message: '', lastTransitionTime: '2026-11-24T07:59:00Z' } as const
  const blocked = { type: 'ImageReady', status: 'False', reason: 'WrongArchitecture', message: 'arm64 only' } as const
  await place.client.replace(
    AGENT_RUNTIMES,
    {
      ...made,
      status: {
        observedGeneration: made.metadata.generation!,
        agentRuntimeArn: 'arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/hello-abcdefghij',
        latestVersion: 2,
        endpoints: [
          { name: 'DEFAULT', version: 2 },
          { name: 'prod', version: 1 },
        ],
        conditions: [
          { type: 'Ready', ...condition },
          { ...condition, ...blocked },
        ],
      },
    },
    'status',
  )
  for (const revision of [1, 2]) {
    await place.client.create(CONTROLLER_REVISIONS, {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name: `hello-v${revision}`,
        namespace: 'default',
        labels: { 'carrel.dev/runtime': 'hello' },
        ownerReferences: [
          { apiVersion: 'carrel.dev/v1alpha1', kind: 'AgentRuntime', name: 'hello', uid: made.metadata.uid!, controller: true },
        ],
      },
      data: {},
      revision,
    })
  }
  await place.session('a', {}, { ...RUNNING, version: 1, podUID: 'p' })
  await place.client.create(EVENTS, event(made, 'VersionCreated', '07:59:02'))
  const { code, out } = await place.run('describe hello')
  assert.equal(code, 0)
  for (const line of [
    /^AgentRuntime hello$/m,
    /^ {2}ARN +arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime\/hello-abcdefghij$/m,
    /^What to do\n {2}ImageReady +arm64 only$/m,
    /^ +2 +0s ago +DEFAULT +0\n +1 +0s ago +prod +1$/m,
    /^Sessions: 1 live, 0 ended$/m,
    /VersionCreated of hello/,
    /carrel invoke hello -n default --payload/,
  ]) {
    assert.match(out, line)
  }
  const told = JSON.parse((await place.run('describe runtime/hello -o json')).out) as { versions: object[]; sessions: object[] }
  assert.deepEqual([told.versions.length, told.sessions.length], [2, 1])
})

test('a name that is of nothing says where to look', async () => {
  const place = await Workplace.start()
  const none = await place.run('describe nobody')
  assert.equal(none.code, 1)
  assert.match(none.notes, /there is no AgentRuntime of that name, and no session in namespace default is called nobody/)
  assert.match((await place.run('describe runtime/nobody')).notes, /there is no AgentRuntime nobody in namespace default/)
  assert.match((await place.run('describe session/hello')).notes, /no session in namespace default is called hello/)
  assert.equal((await place.run('describe')).code, 2)
})

test('who may read sessions alone gets the story without pod, events and log, and is told so', async () => {
  const place = await runningSession()
  const { code, out } = await place.runAs(
    { user: 'ann', groups: ['system:authenticated'], allows: (verb, group) => verb === 'list' && group === 'carrel.dev' },
    'describe a',
  )
  assert.equal(code, 0)
  assert.match(out, /Name +a-1 \(not shown: you have no right to get pods here\)/)
  assert.match(out, /Events\n {2}not shown: you have no right to list events/)
  assert.match(out, /Last lines of the agent\n {2}not shown: you have no right to get pods\/log here/)
  assert.doesNotMatch(out, /listening/)
})
