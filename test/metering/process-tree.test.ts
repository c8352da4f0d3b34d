import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ProcessTree } from '../../src/metering/readers/process-tree.ts'
import { eventually } from '../kit/eventually.ts'
import { Burning } from './burning.ts'

/** A figure of /proc is rounded down to 10 ms, each of four of each process; what the script does after it read its own is small. */
const TICKS_SECONDS = 0.04
const AFTERWARDS_SECONDS = 0.02

function isBilled(seconds: number, truth: number, processes = 1): void {
  const figures = `${seconds} s of ${truth} s`
  assert.ok(seconds <= truth + AFTERWARDS_SECONDS * processes, `over: ${figures}`)
  assert.ok(seconds >= truth * 0.98 - TICKS_SECONDS * processes, `short: ${figures}`)
}

/** Runs the script until it says what the kernel says; the tree is read ten times a second. */
async function measured(t: TestContext, script: string): Promise<{ burning: Burning; tree: ProcessTree; truth: number } | undefined> {
  const burning = Burning.start(t, script)
  if (burning === undefined) return undefined
  const tree = new ProcessTree()
  const truth = await burning.said(() => void tree.read(burning.pids()))
  return { burning, tree, truth }
}

describe('the CPU time of real processes', () => {
  it('holds children that burn and are waited for, and theirs', async (t) => {
    const run = await measured(
      t,
      `
burn(0.2)
for _ in range(2):
    if os.fork() == 0:
        if os.fork() == 0: burn(0.2); os._exit(0)
        burn(0.1); os.wait(); os._exit(0)
os.wait(); os.wait(); report(used()); told()`,
    )
    if (run) isBilled(run.tree.read(run.burning.pids()).cpuSeconds, run.truth)
  })

  it('holds many children of 50 ms that are waited for', async (t) => {
    const run = await measured(
      t,
      `
for _ in range(12):
    if os.fork() == 0: burn(0.05); os._exit(0)
    os.wait()
report(used()); told()`,
    )
    if (run) isBilled(run.tree.read(run.burning.pids()).cpuSeconds, run.truth)
  })

  it('holds threads, ended ones too', async (t) => {
    const run = await measured(
      t,
      `
def work():
    for _ in range(25): hashlib.sha256(bytes(8 << 20)).digest()
threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
report(used()); told()`,
    )
    if (run) isBilled(run.tree.read(run.burning.pids()).cpuSeconds, run.truth)
  })

  for (const [name, orphan] of [
    ['a daemon that its parent left', 'if os.fork() == 0:\n    if os.fork() > 0: os._exit(0)'],
    ['a child that nobody waits for', 'signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nif os.fork() == 0:'],
  ] as const) {
    it(`holds ${name}, as last seen, after its end`, async (t) => {
      const run = await measured(
        t,
        `
done, over = os.pipe(), os.pipe()
${orphan}
    burn(0.5); os.write(done[1], str(used()).encode()); os.read(over[0], 1); os._exit(0)
if signal.getsignal(signal.SIGCHLD) != signal.SIG_IGN: os.wait()
seconds = float(os.read(done[0], 99))
report(used() + seconds); told(); os.write(over[1], b'x'); told()`,
      )
      if (run === undefined) return
      const { burning, tree, truth } = run
      isBilled(tree.read(burning.pids()).cpuSeconds, truth, 2)
      burning.tell()
      await eventually(() => burning.pids().length === 1, { withinMs: 10_000, because: '1 of the processes is left' })
      isBilled(tree.read(burning.pids()).cpuSeconds, truth, 2)
      burning.kill()
      await eventually(() => burning.pids().length === 0, { withinMs: 10_000, because: '0 of the processes is left' })
      isBilled(tree.read([]).cpuSeconds, truth, 2)
    })
  }

  it('goes on in a process that starts again, with what has ended in between', async (t) => {
    const run = await measured(
      t,
      `
if os.fork() == 0: burn(0.4); report(0); told(); os._exit(0)
os.wait(); burn(0.3); report(used()); told()`,
    )
    if (run === undefined) return
    const { burning, tree } = run
    const before = tree.read(burning.pids()).cpuSeconds
    const frozen = tree.freeze()
    burning.tell()
    const truth = await burning.said(() => {})
    const next = new ProcessTree(frozen).read(burning.pids()).cpuSeconds
    assert.ok(before < next)
    isBilled(next, truth)
    const elsewhere = new ProcessTree(JSON.stringify({ ...(JSON.parse(frozen) as object), bootId: 'another' }))
    assert.equal(elsewhere.read([]).cpuSeconds, before, 'after a reboot: as last seen')
  })

  it('refuses a frozen tree that is cut short', () => {
    assert.throws(() => new ProcessTree(new ProcessTree().freeze().slice(0, -1)))
    assert.throws(() => new ProcessTree('{"version":2}'))
  })
})

describe('the memory of real processes', () => {
  it('counts once what a child shares with its parent', async (t) => {
    const megabytes = 2 ** 20
    const run = await measured(
      t,
      `
held = bytes(os.urandom(1)) * (64 << 20)
if os.fork() == 0: told(); os._exit(0)
report(used()); told()`,
    )
    if (run === undefined) return
    const { memoryBytes, memoryBasis } = run.tree.read(run.burning.pids())
    assert.equal(memoryBasis, 'Pss')
    assert.ok(memoryBytes > 64 * megabytes && memoryBytes < 96 * megabytes, `${memoryBytes / megabytes} MB`)
    assert.equal(run.burning.pids().length, 2)
  })

  it('follows what a process takes and lets go, and keeps the last figure when only CPU is wanted', async (t) => {
    const run = await measured(
      t,
      `
report(0); told(); held = bytes(os.urandom(1)) * (64 << 20); report(1); told(); del held; report(2); told()`,
    )
    if (run === undefined) return
    const { burning, tree } = run
    const read = (options = {}): number => tree.read(burning.pids(), options).memoryBytes / 2 ** 20
    const small = read()
    burning.tell()
    await burning.said(() => {})
    assert.equal(read({ memory: false }), small)
    const large = read()
    assert.ok(large - small > 60, `${small} to ${large} MB`)
    burning.tell()
    await burning.said(() => {})
    assert.ok(large - read() > 60)
  })
})
