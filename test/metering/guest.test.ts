import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { add, begin, toReport } from '../../src/metering/integrate.ts'
import { guestFault } from '../../src/metering/readers/guest-kernel.ts'
import { openGuest, Guest } from '../../src/metering/readers/guest.ts'
import { GUEST, guestFiles, KATA_COMMAND_LINES, NODE_COMMAND_LINES, TICKS_PER_SECOND } from './guest-files.ts'

function opened(root: string): Guest {
  const guest = openGuest(root, TICKS_PER_SECOND)
  if (!(guest instanceof Guest)) throw new Error(guest.notVisible)
  return guest
}

test('in a guest, what ran since the meter began counts, without the meter itself, idle, iowait and what the host gave to others', (t) => {
  const { root, set } = guestFiles(t)
  const guest = opened(root)
  t.after(() => guest.close())
  assert.deepEqual(guest.read(), { cpuSeconds: 0, memoryBytes: 300_000 * 1024 - 20 * 1024 * 1024 })
  const [user, nice, system, , , irq, softirq] = GUEST.cpu as [number, number, number, number, number, number, number]
  set({ cpu: [user + 200, nice + 10, system + 50, 9_999, 999, irq + 3, softirq + 2, 99_999, 77, 7], ownCpuMicros: 50_000 + 150_000 })
  assert.equal(guest.read().cpuSeconds.toFixed(6), '2.500000') // 2.65 s of the guest, 0.15 s of them the meter's
  set({ availableKB: 1_999_999, ownAnonBytes: 500 * 1024 * 1024 })
  assert.equal(guest.read().memoryBytes, 0, 'never less than nothing')
})

test('every way in which Kata starts a guest is known, and no node is taken for one', () => {
  const ownStat = `1 (node) S ${'1 '.repeat(18)}200 1 1`
  for (const commandLine of KATA_COMMAND_LINES)
    assert.equal(guestFault({ commandLine, ownStat, ticksPerSecond: 100 }), undefined, commandLine)
  for (const commandLine of NODE_COMMAND_LINES)
    assert.match(guestFault({ commandLine, ownStat, ticksPerSecond: 100 })!, /shares its kernel with the node/, commandLine)
})

test('under runc nothing is measured, whatever else looks like a guest; nor in a kernel that ran long before the pod', (t) => {
  const shared = openGuest(guestFiles(t, { ...GUEST, commandLine: NODE_COMMAND_LINES[0]! }).root, TICKS_PER_SECOND)
  assert.match('notVisible' in shared ? shared.notVisible : '', /shares its kernel/)
  const old = openGuest(guestFiles(t, { ...GUEST, startedAfterSeconds: 86_400 }).root, TICKS_PER_SECOND)
  assert.match('notVisible' in old ? old.notVisible : '', /ran 86400 s before/)
})

test('this machine is no guest of one pod: its figures are never taken', () => {
  const here = openGuest('/')
  assert.ok('notVisible' in here, 'a machine that runs tests was taken for a pod')
})

test('where a file of the guest is missing, it says which and measures nothing', (t) => {
  for (const path of [
    'proc/cmdline',
    'proc/self/stat',
    'proc/stat',
    'proc/meminfo',
    'sys/fs/cgroup/cpu.stat',
    'sys/fs/cgroup/memory.stat',
  ]) {
    const { root } = guestFiles(t)
    rmSync(join(root, path))
    const sight = openGuest(root, TICKS_PER_SECOND)
    assert.ok('notVisible' in sight && sight.notVisible.includes(path), path)
  }
})

test('whatever the counters do, the figures never fall and are never more than the guest ran', (t) => {
  const amounts = fc.record({
    ran: fc.nat(500),
    idle: fc.nat(500),
    stolen: fc.nat(500),
    own: fc.nat(800_000),
    available: fc.nat(2_100_000),
  })
  fc.assert(
    fc.property(fc.array(amounts, { minLength: 1, maxLength: 12 }), (steps) => {
      const { root, set } = guestFiles(t)
      const guest = opened(root)
      let state = begin(0)
      const cpu = [...GUEST.cpu]
      let [ownCpuMicros, ranTicks, atMs] = [GUEST.ownCpuMicros, 0, 0]
      for (const { ran, idle, stolen, own, available } of steps) {
        cpu[0]! += ran
        cpu[3]! += idle
        cpu[7]! += stolen
        ranTicks += ran
        ownCpuMicros += own // the tick counters lag behind: it may have run more than all together, by them
        set({ cpu, ownCpuMicros, availableKB: available })
        const before = toReport('pod', 'Guest', state)
        state = add(state, { atMs: (atMs += 1_000), ...guest.read() })
        const after = toReport('pod', 'Guest', state)
        for (const figure of ['cpuSeconds', 'memoryPeakByteSeconds', 'memoryInUseByteSeconds', 'peakBytes', 'sequence'] as const)
          assert.ok(after[figure] >= before[figure], figure)
        assert.ok(after.cpuSeconds <= ranTicks / TICKS_PER_SECOND + 1e-9)
      }
      guest.close()
    }),
    { numRuns: 60 },
  )
})
