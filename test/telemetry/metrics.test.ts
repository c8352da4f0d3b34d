import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GATEWAY_METRICS, GatewayMetrics, OPERATIONS, type Operation } from '../../src/gateway/metrics.ts'
import { sleep } from '../../src/env/clock.ts'
import { DONE, again, runController, type Outcome } from '../../src/kube/controller.ts'
import { ApiError } from '../../src/kube/errors.ts'
import { WorkQueue } from '../../src/kube/workqueue.ts'
import { Store } from '../../src/kube/store.ts'
import type { AgentSession, AgentSessionStatus } from '../../src/crds/agent-session.ts'
import { OPERATOR_METRICS, OperatorMetrics } from '../../src/operator/metrics.ts'
import { Metrics, type MetricDefinition } from '../../src/telemetry/metrics.ts'
import { virtualEnv } from '../kube/quiet-env.ts'

const ALL: MetricDefinition[] = [...Object.values(GATEWAY_METRICS), ...Object.values(OPERATOR_METRICS)]
const UNITS = /_(seconds|bytes)$/
const COUNTS = /_(in_flight|connections|depth|sessions|leader)$/

/** Lines that are samples. */
const samples = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
const valueOf = (text: string, series: string): number => {
  const line = samples(text).find((sample) => sample.startsWith(`${series} `))
  assert.ok(line, `no series ${series}`)
  return Number(line.slice(series.length + 1))
}

test('names follow the conventions: prefix, base units, _total for counters and for nothing else, no name twice', () => {
  assert.equal(new Set(ALL.map(({ name }) => name)).size, ALL.length)
  for (const { name, kind, help, labels = {} } of ALL) {
    assert.match(name, /^carrel_(gateway|operator)_[a-z]+(_[a-z]+)*$/)
    assert.equal(name.endsWith('_total'), kind === 'counter', name)
    assert.ok(!/_(count|sum|bucket|info)$/.test(name), `${name} ends in what a histogram adds`)
    assert.ok(!/milli|_ms\b|_kb\b|percent/.test(name), `${name} is not in a base unit`)
    if (kind === 'histogram') assert.match(name, UNITS)
    if (kind === 'gauge') assert.ok(UNITS.test(name) || COUNTS.test(name), `${name} says no unit and counts nothing that is known`)
    assert.match(help, /^[A-Z0-9][^\n|]+\.$/, `${name} is explained in sentences`)
    for (const label of Object.keys(labels)) {
      assert.match(label, /^[a-z]+$/)
      assert.ok(!name.includes(`_${label}_`), `${name} repeats its label ${label}`)
      assert.ok(!/session|owner|user|tenant|runtime|path|id$/.test(label), `${name} has the label ${label}`)
    }
  }
})

test('whatever callers send, no label value comes from them and the number of series stays what it was', async () => {
  const metrics = new Metrics()
  const gateway = new GatewayMetrics(metrics)
  const operator = new OperatorMetrics(metrics)
  const pass = (text: string, status: number): void => {
    gateway.requestBegan()
    gateway.requestEnded({ operation: text as Operation, status, ms: 3 })
    gateway.authenticationFailed(text as 'jwt', text as 'rights')
    gateway.limited(text as 'sessions')
    gateway.sessionOpened(text as 'created')
    gateway.openWaited(5)
    operator.reconciled(text, text as 'done', 1)
  }
  pass('planted', 999)
  const before = samples((await gateway.exposition()).text).length
  for (let n = 0; n < 1_000; n += 1) pass(`planted-${n}-"} 1\n`, 600 + n)
  const { text } = await gateway.exposition()
  assert.equal(samples(text).length, before)
  assert.ok(!text.includes('planted'))
  assert.equal(valueOf(text, 'carrel_gateway_requests_total{operation="other",code="other"}'), 1_001)
})

test('with every value of every label the series stay few', async () => {
  const metrics = new Metrics()
  const gateway = new GatewayMetrics(metrics)
  for (const operation of OPERATIONS) {
    for (let status = 200; status < 600; status += 1) {
      gateway.requestBegan()
      gateway.requestEnded({ operation, status, ms: 1 })
    }
  }
  assert.ok(samples((await gateway.exposition()).text).length < 400)
})

test('a request is counted by its operation and status, while it is open and when it has ended', async () => {
  const gateway = new GatewayMetrics()
  gateway.readsFrom({ spooled: { diskBytes: 7, memoryBytes: 9 }, upstream: { connections: 3 } })
  for (const _ of [1, 2, 3, 4]) gateway.requestBegan()
  gateway.requestEnded({ operation: 'InvokeAgentRuntime', status: 202, ms: 250 })
  gateway.requestEnded({ operation: 'InvokeAgentRuntime', status: 424, ms: 2_000 })
  gateway.requestEnded({ operation: 'StopRuntimeSession', status: undefined, ms: 1 })
  const { text, contentType } = await gateway.exposition()
  assert.match(contentType, /^text\/plain; version=0\.0\.4/)
  assert.equal(valueOf(text, 'carrel_gateway_requests_in_flight'), 1)
  assert.equal(valueOf(text, 'carrel_gateway_requests_total{operation="InvokeAgentRuntime",code="200"}'), 1)
  assert.equal(valueOf(text, 'carrel_gateway_requests_total{operation="InvokeAgentRuntime",code="424"}'), 1)
  assert.equal(valueOf(text, 'carrel_gateway_requests_total{operation="StopRuntimeSession",code="none"}'), 1)
  assert.equal(valueOf(text, 'carrel_gateway_request_duration_seconds_sum{operation="InvokeAgentRuntime"}'), 2.25)
  assert.equal(valueOf(text, 'carrel_gateway_limited_total{limit="sessions"}'), 0, 'a limit that was never met is there as 0')
  assert.equal(valueOf(text, 'carrel_gateway_spooled_bytes{place="disk"}'), 7)
  assert.equal(valueOf(text, 'carrel_gateway_spooled_bytes{place="memory"}'), 9)
  assert.equal(valueOf(text, 'carrel_gateway_upstream_connections'), 3)
})

function session(name: string, version: number, status?: AgentSessionStatus): AgentSession {
  const spec = {
    runtimeRef: { name: 'r', uid: 'u' },
    endpoint: 'DEFAULT',
    sessionId: name.padEnd(33, '-'),
    owner: { kind: 'jwt', issuer: 'i', subject: 's' },
    incarnation: status?.incarnation ?? 1,
    stopThrough: 0,
  }
  const metadata = { name, namespace: 'default', uid: name, resourceVersion: String(version) }
  return { apiVersion: 'carrel.dev/v1alpha1', kind: 'AgentSession', metadata, spec, ...(status ? { status } : {}) }
}

test('the operator counts phases as they are, and openings and ends as they happen, once', async () => {
  const env = virtualEnv()
  let leads = false
  const operator = new OperatorMetrics(new Metrics(), () => leads)
  const store = new Store<AgentSession>()
  const queues = { agentruntime: new WorkQueue(env), agentsession: new WorkQueue(env), endedsessions: new WorkQueue(env) }
  operator.readsFrom(store, queues)
  store.subscribe((change) => operator.sessionChanged(change, env))
  queues.agentsession.add('default/a')

  const startedAt = new Date(env.clock.now() - 1_500).toISOString()
  const steps: AgentSessionStatus[] = [
    { incarnation: 1, phase: 'Pending', startedAt },
    { incarnation: 1, phase: 'Running', startedAt },
    { incarnation: 1, phase: 'Running', startedAt, idleTimeoutSeconds: 9 },
    { incarnation: 1, phase: 'Terminating', startedAt, endReason: 'IdleTimeout' },
    { incarnation: 1, phase: 'Terminated', startedAt, endReason: 'IdleTimeout' },
    { incarnation: 2, phase: 'Terminated', endReason: 'IdleTimeout' },
  ]
  store.apply('ADDED', session('a', 1))
  store.apply('ADDED', session('b', 2))
  for (const [index, status] of steps.entries()) {
    store.observe(session('a', 10 + index, status))
    store.apply('MODIFIED', session('a', 10 + index, status))
  }
  const first = (await operator.exposition()).text
  leads = true
  const { text } = await operator.exposition()
  assert.equal(valueOf(first, 'carrel_operator_leader'), 0)
  assert.equal(valueOf(text, 'carrel_operator_leader'), 1)
  assert.equal(valueOf(text, 'carrel_operator_sessions{phase="Terminated"}'), 1)
  assert.equal(valueOf(text, 'carrel_operator_sessions{phase="Pending"}'), 1, 'one without a status')
  assert.equal(valueOf(text, 'carrel_operator_sessions{phase="Running"}'), 0)
  assert.equal(valueOf(text, 'carrel_operator_sessions_ended_total{reason="IdleTimeout"}'), 2)
  assert.equal(valueOf(text, 'carrel_operator_pod_open_seconds_count'), 1)
  assert.equal(valueOf(text, 'carrel_operator_pod_open_seconds_sum'), 1.5)
  assert.equal(valueOf(text, 'carrel_operator_workqueue_depth{controller="agentsession"}'), 1)
})

test('each reconcile is counted by how it ended, and timed', async () => {
  const env = virtualEnv()
  const observer = new OperatorMetrics()
  const queue = new WorkQueue(env)
  const end = new AbortController()
  const conflict = ApiError.from({ status: 409, headers: {}, body: {} }, 'replace')
  const outcomes: Record<string, () => Outcome> = {
    done: () => DONE,
    again: () => again(3_600_000),
    conflict: () => {
      throw conflict
    },
    error: () => {
      throw new Error('planned')
    },
  }
  const worked = new Set<string>()
  const reconcile = async (key: string): Promise<Outcome> => {
    await sleep(env.clock, 20)
    if (worked.has(key)) return DONE
    worked.add(key)
    return outcomes[key]!()
  }
  const running = runController({ env, name: 'agentsession', queue, observer, reconcile }, end.signal)
  for (const key of Object.keys(outcomes)) queue.add(key)
  await env.clock.run(60_000)
  end.abort()
  await running
  const { text } = await observer.exposition()
  const count = (result: string): number => valueOf(text, `carrel_operator_reconciles_total{controller="agentsession",result="${result}"}`)
  assert.deepEqual(['done', 'again', 'conflict', 'error'].map(count), [3, 1, 1, 1], 'what failed came again and was done')
  assert.equal(valueOf(text, 'carrel_operator_reconcile_duration_seconds_sum{controller="agentsession"}').toFixed(3), '0.120')
})

test('a meter that does not answer is counted, and its error goes on', async () => {
  const operator = new OperatorMetrics()
  const pod = { uid: 'uid', sessionUID: 'session', address: undefined }
  let answers = false
  const meters = operator.counted({
    read: async () => (answers ? 'unmetered' : Promise.reject(new Error('away'))),
    acknowledge: async () => {},
  })
  await assert.rejects(meters.read(pod), /away/)
  answers = true
  assert.equal(await meters.read(pod), 'unmetered')
  assert.equal(valueOf((await operator.exposition()).text, 'carrel_operator_meter_read_failures_total'), 1)
})

test('two of one kind in one registry are refused; a process tells of itself when asked to', async () => {
  const metrics = new Metrics()
  const gateway = new GatewayMetrics(metrics)
  assert.throws(() => new GatewayMetrics(metrics), /already been registered/)
  assert.ok(!(await gateway.exposition()).text.includes('process_cpu_seconds_total'))
  metrics.ofThisProcess()
  assert.match((await gateway.exposition()).text, /process_cpu_seconds_total/)
})
