import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Pod } from '../../src/kube/objects.ts'
import { LONGEST_PART_BYTES, LineCutter } from '../../src/local/kubelet/machine/log-lines.ts'
import { PodLogFiles } from '../../src/local/kubelet/machine/pod-logs.ts'
import { env, folder } from './real.ts'

const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'default', name: 'a', uid: 'u' } }
const key = { namespace: 'default', name: 'a', uid: 'u' }

function files(t: TestContext): { logs: PodLogFiles; home: string; read: (options?: object, signal?: AbortSignal) => Promise<string> } {
  const home = folder(t)
  const logs = new PodLogFiles(env, home)
  return {
    logs,
    home,
    async read(options = {}, signal) {
      let text = ''
      for await (const chunk of logs.read(pod, 'agent', options, signal)) text += Buffer.from(chunk).toString()
      return text
    },
  }
}

test('what was written is read in order, with its last lines or bytes only when asked', async (t) => {
  const { logs, read } = files(t)
  const writer = logs.writer(key)
  await writer.write('stdout', Buffer.from('one\ntw'))
  await writer.write('stderr', Buffer.from('error\n'))
  await writer.write('stdout', Buffer.from('o\nthree'))
  assert.equal(await read(), 'one\nerror\ntwo\n')
  await logs.close('u')
  assert.equal(await read(), 'one\nerror\ntwo\nthree\n')
  assert.equal(await read({ tailLines: 2 }), 'two\nthree\n')
  assert.equal(await read({ tailLines: 0 }), '')
  assert.equal(await read({ tailLines: 99 }), 'one\nerror\ntwo\nthree\n')
  assert.equal(await read({ limitBytes: 5 }), 'one\ne')
  assert.match(await read({ timestamps: true, tailLines: 1 }), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z three\n$/)
})

test('only the lines of the last seconds', async (t) => {
  const { home, read } = files(t)
  const directory = join(home, 'logs/pods/default_a_u/agent')
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, '0.log'), '2020-01-01T00:00:00.000000Z stdout F old\n')
  appendFileSync(join(directory, '0.log'), `${new Date().toISOString()} stdout F new\n`)
  assert.equal(await read({ sinceSeconds: 3600 }), 'new\n')
  assert.equal(await read(), 'old\nnew\n')
})

test('a character that two chunks share stays whole, and a long line comes in parts that read as one', async (t) => {
  const { logs, read } = files(t)
  const writer = logs.writer(key)
  const euro = Buffer.from('€\n')
  await writer.write('stdout', euro.subarray(0, 1))
  await writer.write('stdout', euro.subarray(1))
  const long = 'x'.repeat(3 * LONGEST_PART_BYTES + 5)
  await writer.write('stdout', Buffer.from(`${long}\n`))
  await logs.close('u')
  assert.equal(await read(), `€\n${long}\n`)
  assert.equal(await read({ tailLines: 1 }), `${long}\n`)
})

test('the cutter gives every byte back, wherever the chunks were torn', () => {
  const text = 'a\n\nbé€😀\n' + 'y'.repeat(40_000) + '\nend'
  const bytes = Buffer.from(text)
  for (const size of [1, 2, 3, 7, 16_384, 100_000]) {
    const cutter = new LineCutter()
    const lines = []
    for (let at = 0; at < bytes.length; at += size) lines.push(...cutter.push(bytes.subarray(at, at + size)))
    lines.push(...cutter.end())
    assert.equal(lines.map((line) => line.text + (line.full ? '\n' : '')).join(''), `${text}\n`, `chunks of ${size}`)
  }
})

test('a reader who follows gets every line once, and an end when the pod ends', async (t) => {
  const { logs, read } = files(t)
  const writer = logs.writer(key)
  const lines = Array.from({ length: 200 }, (_, index) => `line ${index}\n`)
  const writing = lines.map((line) => writer.write('stdout', Buffer.from(line)))
  const following = read({ follow: true })
  await Promise.all(writing)
  for (const line of lines) await writer.write('stdout', Buffer.from(line))
  await logs.close('u')
  assert.equal(await following, [...lines, ...lines].join(''))
})

test('a reader who goes away stops following', async (t) => {
  const { logs, read } = files(t)
  await logs.writer(key).write('stdout', Buffer.from('one\n'))
  const gone = new AbortController()
  const following = read({ follow: true }, gone.signal)
  gone.abort()
  assert.equal(await following, 'one\n')
  await logs.close('u')
})

test('a log stays bounded, however much an agent writes', async (t) => {
  const { home, logs, read } = files(t)
  const writer = logs.writer(key)
  const chunk = Buffer.from(`${'z'.repeat(1023)}\n`.repeat(1024))
  for (let written = 0; written < 24; written += 1) await writer.write('stdout', chunk)
  await writer.write('stdout', Buffer.from('the last\n'))
  await logs.close('u')
  const directory = join(home, 'logs/pods/default_a_u/agent')
  assert.deepEqual(readdirSync(directory).toSorted(), ['0.log', '0.log.1'])
  for (const name of readdirSync(directory)) assert.ok(statSync(join(directory, name)).size <= 10 * 1024 * 1024)
  assert.equal(await read({ tailLines: 1 }), 'the last\n')
})

test('a log that is removed is gone, and one of an unknown pod is empty', async (t) => {
  const { home, logs, read } = files(t)
  assert.equal(await read(), '')
  await logs.writer(key).write('stdout', Buffer.from('one\n'))
  await logs.close('u')
  assert.deepEqual(await logs.pods(), ['u'])
  await logs.remove('u')
  assert.deepEqual(readdirSync(join(home, 'logs/pods')), [])
})
