import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bench, BenchSettings, Measured, Prepared } from '../../bench/runner/bench.ts'
import { markdownOf } from '../../bench/runner/markdown.ts'
import { resultOf } from '../../bench/runner/result.ts'
import { runRounds } from '../../bench/runner/rounds.ts'
import { spreadOf } from '../../bench/runner/spread.ts'
import { tally } from '../../bench/kube/tally.ts'

const settings: BenchSettings = {
  rounds: 3,
  objects: 1,
  changes: 1,
  sessions: 1,
  seconds: 1,
  nginx: false,
  apis: ['embedded'],
  say: () => {},
}
const machine = { cores: 2, processor: 'a processor', memoryGiB: 8, node: 'v24.0.0', system: 'linux x64' }

/** Two cases, whose rounds take what is written here. */
function benchOf(ours: number[], floor: number[], order: string[] = [], stop = (): void => {}): Bench {
  const measure = (name: string, values: number[]) => async (): Promise<Measured> => {
    order.push(name)
    const value = values.shift()
    if (value === undefined) throw new Error(`${name} is out of values`)
    return { sample: { time: value } }
  }
  const prepare = async (): Promise<Prepared> => ({
    cases: [
      { name: 'carrel', api: 'embedded', role: 'ours', measure: measure('carrel', [...ours]) },
      { name: 'bare', api: 'embedded', role: 'floor', measure: measure('bare', [...floor]) },
    ],
    notes: [],
    stop: async () => stop(),
  })
  return { name: 'some/bench', about: 'About it.', metrics: [{ name: 'time', unit: 'ms', better: 'less', target: 15 }], prepare }
}

test('the median of an even number of values is the middle of the two in the middle; of none there is none', () => {
  assert.deepEqual(spreadOf([4, 1, 3, 10]), { median: 3.5, min: 1, max: 10 })
  assert.deepEqual(spreadOf([7]), { median: 7, min: 7, max: 7 })
  assert.equal(spreadOf([]), undefined)
})

test('rounds are interleaved, every second one backwards, and everything is put away at the end', async () => {
  const order: string[] = []
  let isStopped = false
  const bench = benchOf([1, 2, 3], [1, 1, 1], order, () => (isStopped = true))
  const { broken } = await runRounds(bench, settings)
  assert.equal(broken, undefined)
  assert.deepEqual(order, ['carrel', 'bare', 'bare', 'carrel', 'carrel', 'bare'])
  assert.ok(isStopped)
})

test('a round that breaks keeps the samples before it, says so, and puts everything away', async () => {
  let isStopped = false
  const { runs, notes, broken } = await runRounds(
    benchOf([1], [1, 1], [], () => (isStopped = true)),
    settings,
  )
  assert.match(broken!.message, /carrel is out of values/)
  assert.deepEqual(
    runs.map(({ rounds }) => rounds.length),
    [1, 2],
  )
  assert.deepEqual(notes, ['The rounds ended before their time.'])
  assert.ok(isStopped)
})

test('the result has raw samples, and ratios round by round; the table marks a missed target', async () => {
  const bench = benchOf([10, 20, 40], [10, 5, 4])
  const { runs } = await runRounds(bench, settings)
  const result = resultOf(bench, settings, runs, { startedAt: '2026-01-02T03:04:05.000Z', durationSeconds: 9, machine, notes: ['A note.'] })
  const [ours, floor] = result.cases
  assert.deepEqual(
    ours!.samples.map(({ time }) => time),
    [10, 20, 40],
  )
  assert.deepEqual(ours!.summary['time'], { median: 20, min: 10, max: 40 })
  assert.deepEqual(ours!.ratios['time'], { toFloor: 4 })
  assert.deepEqual(floor!.ratios['time'], {})
  const table = markdownOf(result)
  assert.match(table, /^\| time, ms \| 20 \(10–40\) \*\*missed\*\*<br>4x floor \| 5 \(4–10\) \| <= 15 \|$/m)
  assert.match(table, /^2026-01-02, 2 cores \(a processor\), 8 GiB, Node v24\.0\.0, linux x64, 3 rounds, 9 s in all/m)
})

test('a write that no watch shows is a no-op; refused ones, events and other objects are counted apart', () => {
  const line = (verb: string, resource: string, name: string, code = 200) => ({
    verb,
    user: { username: 'system:serviceaccount:carrel-system:operator' },
    objectRef: { resource, namespace: 'default', name },
    requestURI: '/',
    responseStatus: { code },
    requestReceivedTimestamp: '',
  })
  const lines = [
    line('create', 'agentsessions', 'a', 201),
    line('update', 'agentsessions', 'a'),
    line('update', 'agentsessions', 'a'),
    line('update', 'agentsessions', 'a', 409),
    line('create', 'pods', 'a-1', 201),
    line('get', 'pods', 'a-1'),
    line('create', 'events', 'e', 201),
    line('update', 'leases', 'l'),
  ]
  const changes = new Map([
    ['agentsessions default/a', ['created', 'status Pending']],
    ['pods default/a-1', ['created']],
  ])
  const { session, pod, noOp, refused, events, background, rows, suspects } = tally(lines, changes)
  assert.deepEqual(
    { session, pod, noOp, refused, events, background },
    { session: 3, pod: 1, noOp: 1, refused: 1, events: 1, background: 1 },
  )
  assert.equal(rows.get('pods | operator | create | created'), 1)
  assert.equal(rows.get('agentsessions | operator | update | refused with 409'), 1)
  assert.match(suspects[0]!, /^agentsessions default\/a: writes .* Changes: created; status Pending$/)
})
