import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { VirtualClock, seededRandom } from '../../src/env/virtual.ts'
import { MachineHost } from '../../src/local/kubelet/machine/machine-host.ts'
import { PodLogFiles } from '../../src/local/kubelet/machine/pod-logs.ts'
import { meteredHost } from '../../src/local/kubelet/meter/metered-host.ts'
import { KEEP_MS, PodMeter, type MeterStore } from '../../src/local/kubelet/meter/pod-meter.ts'
import { usageFiles } from '../../src/local/kubelet/meter/usage-files.ts'
import type { PlacedPod, ProcessHost } from '../../src/local/kubelet/process-host.ts'
import { ProcessTree } from '../../src/metering/readers/process-tree.ts'
import { quiet } from './kit.ts'
import { env, folder, planned, until, write } from './real.ts'

/** Burns in itself, then in a child that it waits for; says so, and waits. */
const BURNER = `
const burn = (ms) => { for (const from = process.cpuUsage(); process.cpuUsage(from).user + process.cpuUsage(from).system < ms * 1000; ) Math.sqrt(Math.random()) }
const { spawnSync } = require('node:child_process')
const [own, child] = process.argv.slice(2).map(Number)
if (process.send === undefined && own < 0) { burn(-own); process.exit() }
burn(own)
if (child > 0) spawnSync(process.execPath, [__filename, String(-child)], { stdio: 'inherit' })
console.log('burnt', JSON.stringify(process.resourceUsage()))
setInterval(() => {}, 1000)
`

interface Node {
  meter: PodMeter
  machine: MachineHost
  host: ProcessHost
  /** As by SIGKILL: it measures no more and writes nothing. */
  die(): void
}

/** A kubelet's host and meter in `home`. */
function nodeIn(t: TestContext, home: string): Node {
  const machine = new MachineHost(env, { home, logs: new PodLogFiles(env, home), shell: process.env })
  const files = usageFiles(home)
  let alive = true
  const store: MeterStore = {
    ...files,
    save: async (podUID, text) => (alive ? files.save(podUID, text) : undefined),
  }
  const meter = new PodMeter(env, { openTree: (frozen) => new ProcessTree(frozen), processes: () => machine.processesByPod(), store })
  machine.watchedBy(meter)
  const ending = new AbortController()
  void meter.run(ending.signal)
  const die = (): void => {
    alive = false
    ending.abort()
  }
  t.after(die)
  return { meter, machine, host: meteredHost(machine, meter), die }
}

async function start(
  t: TestContext,
  { host, machine }: Node,
  command: string[],
  files: Record<string, string>,
): Promise<PlacedPod & { pid: number }> {
  const pod = await planned(machine, 'uid-1', write(join(folder(t), 'code'), files), command)
  assert.deepEqual(await host.prepare(pod), { ready: true })
  const started = await host.start(pod)
  if ('failed' in started) throw new Error(started.message)
  t.after(() => machine.signal(pod.uid, 'SIGKILL'))
  return { ...pod, pid: started.pid }
}

/** Of the process and of the children that it has waited for, by the kernel: utime, stime, cutime, cstime of proc(5). */
function kernelSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) / 100
}

function within(share: number, figure: number, truth: number): void {
  assert.ok(Math.abs(figure - truth) <= truth * share + 0.01, `${figure} is not within ${share * 100} % of ${truth}`)
}

async function output(home: string): Promise<string> {
  const logs = join(home, 'logs/pods')
  if (!existsSync(logs)) return ''
  return readdirSync(logs, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('')
}

const burnt = (home: string): Promise<string> =>
  until('it has burnt', async () => ((await output(home)).includes('burnt') ? 'yes' : undefined))

test('an agent and its reaped child are measured as the kernel does, start-up included; waiting adds next to nothing', async (t) => {
  const home = folder(t)
  const node = nodeIn(t, home)
  const { pid, uid } = await start(t, node, ['node', 'burn.cjs', '400', '400'], { 'burn.cjs': BURNER })
  await burnt(home)
  const kernel = kernelSeconds(pid)
  assert.ok(kernel >= 0.8, `${kernel} s`)
  await until('it is read', () => node.meter.report(uid)!.cpuSeconds >= kernel - 0.005)
  const report = node.meter.report(uid)!
  within(0.02, report.cpuSeconds, kernelSeconds(pid))
  assert.ok(report.memoryBytes > 5 * 2 ** 20 && report.peakBytes >= report.memoryBytes, JSON.stringify(report))
  await node.host.signal(uid, 'SIGTERM')
  await node.host.exited(uid)
  await node.host.cleanup(uid)
  const final = node.meter.report(uid)!
  assert.deepEqual([final.final, final.missedSeconds, final.bridgedSeconds], [true, 0, 0])
  within(0.05, final.cpuSeconds, kernel)
})

test('what an agent burns until it exits by itself is there, but for the last reading interval', async (t) => {
  const home = folder(t)
  const node = nodeIn(t, home)
  const code = `${BURNER.replace('setInterval(() => {}, 1000)', 'process.exit(3)')}`
  const { uid } = await start(t, node, ['node', 'burn.cjs', '700', '0'], { 'burn.cjs': code })
  assert.equal((await node.host.exited(uid)).exitCode, 3)
  const { userCPUTime, systemCPUTime } = JSON.parse(/burnt (\{.*\})/.exec(await output(home))![1]!) as NodeJS.ResourceUsage
  const used = (userCPUTime + systemCPUTime) / 1e6
  const { cpuSeconds, final } = node.meter.report(uid)!
  assert.equal(final, true)
  assert.ok(cpuSeconds > used - 0.45 && cpuSeconds < used + 0.1, `${cpuSeconds} of ${used}`)
})

test('the kubelet is killed: its successor reads what the orphan used meanwhile before it ends it', async (t) => {
  const home = folder(t)
  const first = nodeIn(t, home)
  const { pid, uid } = await start(t, first, ['node', 'burn.cjs', '300', '0'], {
    'burn.cjs': BURNER.replace('setInterval(() => {}, 1000)', 'setTimeout(() => burn(500), 1500)\nsetInterval(() => {}, 1000)'),
  })
  await burnt(home)
  await until('it is written down', () => readdirSync(join(home, 'usage')).includes('uid-1.json'))
  first.die()
  const before = first.meter.report(uid)!
  await until('the orphan has burnt more', () => kernelSeconds(pid) > 0.8)

  const next = nodeIn(t, home)
  assert.deepEqual(await next.host.leftovers(), [uid])
  const kernel = kernelSeconds(pid)
  await next.host.signal(uid, 'SIGKILL')
  await next.host.cleanup(uid)
  const final = next.meter.report(uid)!
  within(0.02, final.cpuSeconds, kernel)
  assert.ok(final.final && final.cpuSeconds > before.cpuSeconds && final.sequence > before.sequence, JSON.stringify([before, final]))
  assert.equal(final.missedSeconds, 0, 'a gap between two readings is bridged, not missed')
})

test('an agent that ended while no meter ran: what was written down stands, short by the downtime and a second at most, and marked', async (t) => {
  const home = folder(t)
  const first = nodeIn(t, home)
  const { uid } = await start(t, first, ['node', 'burn.cjs', '300', '0'], { 'burn.cjs': BURNER })
  await burnt(home)
  await until(
    'it is written down',
    () => readFileSync(join(home, 'usage/uid-1.json'), 'utf8').length > 0 && first.meter.report(uid)!.cpuSeconds > 0.3,
  )
  const diedAtMs = env.clock.monotonic()
  first.die()
  const last = first.meter.report(uid)!
  await first.machine.signal(uid, 'SIGKILL')
  await until('time passes', () => env.clock.monotonic() - diedAtMs > 1_200)

  const next = nodeIn(t, home)
  assert.deepEqual(await next.host.leftovers(), [uid])
  await next.host.signal(uid, 'SIGKILL')
  await next.host.cleanup(uid)
  const final = next.meter.report(uid)!
  const downSeconds = (env.clock.monotonic() - diedAtMs) / 1000
  assert.ok(
    final.final && final.missedSeconds >= 1.2 && final.missedSeconds <= downSeconds + 1.5,
    `${final.missedSeconds} of ${downSeconds}`,
  )
  assert.ok(final.measuredSeconds <= last.measuredSeconds && final.cpuSeconds <= last.cpuSeconds, 'never over')
  const third = nodeIn(t, home)
  assert.deepEqual({ ...third.meter.report(uid) }, final, 'a final report is the same for every successor')
})

const NO_TREE = { read: () => ({ cpuSeconds: 1, memoryBytes: 1 }), freeze: () => 'frozen' }

test('a full disk costs one warning, and the meter goes on; what cannot be read of an earlier run costs one too', async () => {
  const warnings: string[] = []
  const log = { ...quiet, warn: (_: object, message: string) => void warnings.push(message) }
  const store: MeterStore = {
    load: () => new Map([['old', '{"cut']]),
    save: async () => Promise.reject(new Error('ENOSPC')),
    remove: async () => {},
  }
  const meter = new PodMeter({ ...env, log }, { openTree: () => NO_TREE, processes: () => new Map(), store })
  meter.begin('a', 1)
  meter.signalled('a', [1])
  await meter.end('a')
  assert.deepEqual([meter.report('a')?.final, meter.report('a')?.cpuSeconds, meter.report('old')], [true, 1, undefined])
  assert.deepEqual(
    warnings.map((message) => /written down|cannot be read/.exec(message)?.[0]),
    ['cannot be read', 'written down'],
  )
})

test('a report stays until it is acknowledged, and at most a day after the object of its pod', async () => {
  const random = seededRandom(1)
  const clock = new VirtualClock(random)
  const saved = new Map<string, string>()
  const store: MeterStore = {
    load: () => new Map(saved),
    save: async (podUID, text) => void saved.set(podUID, text),
    remove: async (podUID) => void saved.delete(podUID),
  }
  const open = (): PodMeter => new PodMeter({ clock, random, log: quiet }, { openTree: () => NO_TREE, processes: () => new Map(), store })
  const meter = open()
  for (const podUID of ['a', 'b', 'c']) meter.begin(podUID, 1)
  assert.equal(await meter.acknowledge('a'), 'live')
  for (const podUID of ['a', 'b']) await meter.end(podUID)
  assert.equal(await meter.acknowledge('a'), 'forgotten')
  assert.equal(await meter.acknowledge('a'), 'unknown')
  await meter.gone('b')
  await meter.gone('c')
  const next = open()
  assert.deepEqual(next.leftovers(), [])
  const runBriefly = async (): Promise<void> => {
    const ending = new AbortController()
    void next.run(ending.signal)
    await clock.run(clock.monotonic() + 2_000)
    ending.abort()
  }
  await clock.run(clock.monotonic() + KEEP_MS - 60_000)
  await runBriefly()
  assert.deepEqual([...saved.keys()].toSorted(), ['b', 'c'])
  await clock.run(clock.monotonic() + 60_000)
  await runBriefly()
  assert.deepEqual([next.report('b'), next.report('c'), saved.size], [undefined, undefined, 0])
})
