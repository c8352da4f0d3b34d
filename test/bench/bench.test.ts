import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import type { BenchResult } from '../../bench/runner/result.ts'

const RUN = join(import.meta.dirname, '..', '..', 'bench', 'run.ts')
const WITHIN_MS = 120_000

const start = promisify(execFile)

async function bench(t: TestContext, ...parameters: string[]): Promise<{ table: string; result: BenchResult }> {
  const out = mkdtempSync(join(tmpdir(), 'carrel-bench-out-'))
  t.after(() => rmSync(out, { recursive: true }))
  const { stdout } = await start(process.execPath, [RUN, ...parameters, '--out', out], { timeout: WITHIN_MS })
  const [file, ...more] = readdirSync(out)
  assert.deepEqual(more, [])
  return { table: stdout, result: JSON.parse(readFileSync(join(out, file!), 'utf8')) as BenchResult }
}

async function refused(...parameters: string[]): Promise<string> {
  const outcome = await start(process.execPath, [RUN, ...parameters], { timeout: WITHIN_MS }).then(
    () => assert.fail('it ran'),
    (error: { code: number; stderr: string }) => error,
  )
  assert.equal(outcome.code, 2)
  return outcome.stderr
}

test('list and watch: every case holds all objects and has samples, spread and ratios for its metrics', async (t) => {
  const size = ['--rounds', '1', '--objects', '200', '--changes', '200']
  const { table, result } = await bench(t, 'kube/list-and-watch', '--api', 'embedded', ...size)
  assert.equal(result.format, 'carrel-bench/1')
  assert.equal(result.bench, 'kube/list-and-watch')
  assert.deepEqual(result.settings, { rounds: 1, objects: 200, changes: 200, sessions: 20, seconds: 10 })
  assert.ok(result.machine.cores >= 1)
  assert.equal(result.machine.node, process.version)
  assert.deepEqual(
    result.cases.map(({ role }) => role),
    ['ours', 'ours', 'peer', 'floor'],
  )
  for (const { name, samples, summary, ratios, role } of result.cases) {
    assert.equal(samples.length, 1, name)
    for (const metric of result.metrics) {
      const value = samples[0]![metric.name]
      assert.ok(value !== undefined && value > 0, `${name}: ${metric.name} is ${value}`)
      assert.deepEqual(summary[metric.name], { median: value, min: value, max: value })
      if (role === 'ours') assert.ok(ratios[metric.name]!.toFloor! > 0 && ratios[metric.name]!.toPeer! > 0)
    }
  }
  assert.match(
    table,
    /^\| embedded API \| gateway \| operator \| client-node informer \(peer\) \| undici \+ JSON\.parse \(floor\) \| target \|$/m,
  )
})

test('session writes: each one is in the audit log and changed something that a watch showed', async (t) => {
  const { table, result } = await bench(t, 'kube/session-writes', '--api', 'embedded', '--rounds', '1', '--sessions', '2')
  for (const { name, samples, details } of result.cases) {
    const sample = samples[0]!
    assert.ok(sample["writes beyond the pod's own"]! >= 3, `${name}: at least created, opened and ended`)
    assert.equal(sample['no-op writes'], 0, details)
    assert.equal(sample["writes beyond the pod's own"], sample['to open']! + sample['to end']! + sample['to remove']!, details)
  }
  assert.match(table, /\| agentsessions \| gateway \| create \| created \| 1 \|/)
})

test('gateway: calls by signature and by token are measured beside direct ones of the same agent', async (t) => {
  const { table, result } = await bench(t, 'gateway/1-kb', '--rounds', '1', '--seconds', '0.5', '--no-nginx')
  assert.deepEqual(
    result.cases.map(({ name, role }) => [name, role]),
    [
      ['gateway, SigV4', 'ours'],
      ['gateway, JWT', 'ours'],
      ['direct', 'floor'],
    ],
  )
  for (const { name, role, samples, ratios } of result.cases) {
    for (const metric of ['requests per second', 'latency alone, p50']) assert.ok(samples[0]![metric]! > 0, `${name}: ${metric}`)
    if (role === 'ours') assert.ok(samples[0]!['requests per CPU-second']! > 0 && ratios['latency alone, p50']!.toFloor! > 1, name)
  }
  assert.match(table, /^\| added latency, p99, ms \|/m)
})

test('a name that no bench has, and a number that is none, are refused with what there is', async () => {
  assert.match(await refused('kube/no-such'), /no bench is called kube\/no-such; there are:\s+kube\/list-and-watch/)
  assert.match(await refused('kube', '--rounds', 'many'), /--rounds/)
})
