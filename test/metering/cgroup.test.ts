import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { CgroupV1 } from '../../src/metering/readers/cgroup-v1.ts'
import { CgroupV2 } from '../../src/metering/readers/cgroup-v2.ts'
import { Burning } from './burning.ts'
import { realGroup, type RealGroup } from './real-group.ts'

const V2_FILES = {
  'cpu.stat': 'usage_usec 12345678\nuser_usec 10000000\nsystem_usec 2345678\nnr_periods 0\n',
  'memory.current': '300000000\n',
  'memory.stat': 'anon 1\nfile 2\nkernel 3\ninactive_anon 4\nactive_anon 5\ninactive_file 100000000\nactive_file 6\n',
  'memory.peak': '400000000\n',
}
const V1_FILES = {
  'cpuacct.usage': '12345678901\n',
  'memory.usage_in_bytes': '300000000\n',
  'memory.stat': 'cache 1\nrss 2\ninactive_file 7\ntotal_cache 3\ntotal_inactive_file 100000000\n',
  'memory.max_usage_in_bytes': '400000000\n',
}

function directoryOf(t: TestContext, files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), 'carrel-cgroup-'))
  t.after(() => rmSync(directory, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return directory
}

function without(files: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(files).filter(([file]) => file !== name))
}

describe('a cgroup of version 2', () => {
  const open = (t: TestContext, files: Record<string, string>): CgroupV2 => {
    const reader = new CgroupV2(directoryOf(t, files))
    t.after(() => reader.close())
    return reader
  }

  it('gives CPU, memory without idle file pages, and the mark', (t) => {
    assert.deepEqual(open(t, V2_FILES).read(), { cpuSeconds: 12.345678, memoryBytes: 200_000_000, peakBytes: 400_000_000 })
  })

  it('reads again what it has open', (t) => {
    const directory = directoryOf(t, V2_FILES)
    const reader = new CgroupV2(directory)
    t.after(() => reader.close())
    reader.read()
    writeFileSync(join(directory, 'cpu.stat'), 'usage_usec 99\n')
    assert.equal((reader.read() as { cpuSeconds: number }).cpuSeconds, 99e-6)
  })

  it('goes without a mark on an older kernel, and never below no memory', (t) => {
    const files = { ...without(V2_FILES, 'memory.peak'), 'memory.current': '5\n' }
    assert.deepEqual(open(t, files).read(), { cpuSeconds: 12.345678, memoryBytes: 0 })
  })

  it('says which file is not there and what that means', (t) => {
    assert.throws(() => open(t, without(V2_FILES, 'cpu.stat')), /cpu\.stat is not there: .*none of version 2/)
    assert.throws(() => open(t, without(V2_FILES, 'memory.current')), /memory\.current is not there: .*cgroup\.subtree_control/)
    assert.throws(() => open(t, without(V2_FILES, 'memory.stat')), /memory\.stat is not there/)
  })

  it('refuses a file that is no cgroup file, rather than read nothing as 0', (t) => {
    assert.throws(() => open(t, { ...V2_FILES, 'cpu.stat': '' }).read(), /cpu\.stat has not the line "usage_usec <number>"/)
    assert.throws(() => open(t, { ...V2_FILES, 'memory.current': 'max\n' }).read(), /memory\.current has not one number/)
  })
})

describe('a cgroup of version 1', () => {
  const open = (t: TestContext, files: Record<string, string>): CgroupV1 => {
    const directory = directoryOf(t, files)
    const reader = new CgroupV1({ cpuacct: directory, memory: directory })
    t.after(() => reader.close())
    return reader
  }

  it('gives CPU, memory without idle file pages of it and of those below, and the mark', (t) => {
    assert.deepEqual(open(t, V1_FILES).read(), { cpuSeconds: 12.345678901, memoryBytes: 200_000_000, peakBytes: 400_000_000 })
  })

  for (const name of Object.keys(V1_FILES)) {
    it(`says that ${name} is not there`, (t) => {
      assert.throws(() => open(t, without(V1_FILES, name)), new RegExp(`${name} is not there: .*version 1's (cpuacct|memory) controller`))
    })
  }
})

describe('a real cgroup of this machine', () => {
  it('holds the CPU of children that ended, waited for or not, and all memory; and says when it is gone', async (t) => {
    const group = realGroup(t)
    const burning = group && Burning.start(t, 'told(); signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n' + BURNING_CHILDREN)
    if (group === undefined || burning === undefined) return
    const reader = openReal(group)
    t.after(() => reader.close())
    for (const pid of burning.pids()) group.add(pid)
    burning.tell()
    const truth = await burning.said(() => void reader.read())
    const reading = reader.read()
    assert.ok(reading !== 'gone')
    assert.ok(Math.abs(reading.cpuSeconds - truth) <= truth * 0.02 + 0.02, `${reading.cpuSeconds} s of ${truth} s`)
    assert.ok(reading.memoryBytes > 60 * 2 ** 20, `${reading.memoryBytes} bytes`)
    assert.ok((reading.peakBytes ?? Infinity) >= reading.memoryBytes)
    burning.kill()
    await group.remove()
    assert.equal(reader.read(), 'gone')
  })
})

const BURNING_CHILDREN = `
before = used()
pipe = os.pipe()
for _ in range(8):
    if os.fork() == 0: burn(0.05); os.write(pipe[1], f'{used():9.6f}'.encode()); os._exit(0)
children = sum(float(os.read(pipe[0], 9)) for _ in range(8))
held = bytes(os.urandom(1)) * (64 << 20)
report(used() - before + children); told()`

function openReal({ version, directories }: RealGroup): CgroupV1 | CgroupV2 {
  return version === 1 ? new CgroupV1(directories) : new CgroupV2(directories.memory)
}
