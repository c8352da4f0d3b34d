import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { describe, test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { ActivityUnavailableError } from '../../src/activity/errors.ts'
import { eventually } from '../kit/eventually.ts'
import { connectTo, type Said } from '../kit/redis-activity.ts'
import { RedisServer, type RedisOptions } from '../kit/redis.ts'
import { needs } from '../kit/ring.ts'
import { TcpProxy } from '../kit/tcp-proxy.ts'

const IDLE_MS = 60_000
const OPEN = { podUID: 'open', idleMs: IDLE_MS, open: true }
/** A reconnect's longest pause, the look at the server, and a slow machine. */
const BACK_WITHIN_MS = 10_000

type Connected = Awaited<ReturnType<typeof connectTo>> & { server: RedisServer }

async function connected(t: TestContext, options: RedisOptions = {}): Promise<Connected | undefined> {
  if (!needs(t, 'CARREL_TEST_REDIS')) return undefined
  const server = await RedisServer.start(options)
  t.after(() => server.stop())
  const opened = await connectTo(server)
  t.after(() => opened.activity.disconnect())
  return { server, ...opened }
}

/** A pod that was closed, and one that is open. */
async function inUse({ activity }: Connected): Promise<void> {
  await activity.register('closed', 0)
  await activity.stamp('g', [OPEN])
  assert.deepEqual(await activity.close('closed', 0, ['g']), { closed: true })
}

/** Asks until an answer comes, and gives how it stands with the two. */
async function afterwards({ activity }: Connected): Promise<{ closed: string; open: string }> {
  const use = (podUID: string): Promise<string> =>
    activity.touch('other', { podUID, idleMs: IDLE_MS, open: false }).then((answer) => (answer.closed ? 'closed' : 'open'))
  const closed = await eventually(() => use('closed'), { withinMs: BACK_WITHIN_MS, because: 'the store did not come back' })
  return { closed, open: await use('open') }
}

/** Rejects, and soon. */
async function isAway({ activity }: Connected, wanted: RegExp, soonMs = 250): Promise<void> {
  await eventually(
    async () => {
      const error = await activity.stamp('g', [OPEN]).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      return error instanceof ActivityUnavailableError && wanted.test(error.message)
    },
    { withinMs: BACK_WITHIN_MS, because: `no call rejects with ${wanted}` },
  )
  const beganAtMs = performance.now()
  await assert.rejects(activity.stamp('g', [OPEN]), ActivityUnavailableError)
  assert.ok(performance.now() - beganAtMs < soonMs, 'it let the caller wait')
}

const loud = (said: Said[]): Said[] => said.filter(({ level }) => level === 'error' || level === 'warn')

describe('a Redis that goes away and comes back', { concurrency: 3 }, () => {
  test('restarted: what was closed stays closed; each reason is said once, and once that it is back', async (t) => {
    const store = await connected(t)
    if (!store) return
    await inUse(store)
    await store.server.restart()
    assert.deepEqual(await afterwards(store), { closed: 'closed', open: 'open' })
    const reasons = loud(store.said).map(({ message }) => message)
    assert.ok(reasons.length > 0)
    assert.deepEqual(reasons, [...new Set(reasons)], 'each reason once')
    assert.equal(store.said.filter(({ level }) => level === 'info').length, 1)
  })

  test('killed, and started later: calls reject at once meanwhile, however long it takes', async (t) => {
    const store = await connected(t)
    if (!store) return
    await inUse(store)
    // Killed before, it may lose the last second or two: it writes its file when the one before is on the disk.
    const isWritten = async (): Promise<boolean> => /aof_buffer_length:0\r/.test(String(await store.server.command('INFO', 'persistence')))
    await eventually(isWritten, { withinMs: BACK_WITHIN_MS, because: 'the append-only file is behind' })
    await store.server.kill()
    await isAway(store, /cannot be reached \(ECONNREFUSED\)/)
    await store.server.restart()
    assert.deepEqual(await afterwards(store), { closed: 'closed', open: 'open' })
  })

  test('connections killed by its administrator are made anew', async (t) => {
    const store = await connected(t)
    if (!store) return
    await inUse(store)
    for (let round = 0; round < 3; round += 1) {
      await store.server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      assert.deepEqual(await afterwards(store), { closed: 'closed', open: 'open' })
    }
  })

  test('paused: calls reject in time, and are taken again when it goes on', async (t) => {
    const store = await connected(t)
    if (!store) return
    await inUse(store)
    store.server.pause()
    const beganAtMs = performance.now()
    await assert.rejects(store.activity.stamp('g', []), /does not answer in time/)
    assert.ok(performance.now() - beganAtMs < 2_000)
    await isAway(store, /does not answer in time/, 2_000)
    store.server.resume()
    assert.deepEqual(await afterwards(store), { closed: 'closed', open: 'open' })
  })

  test('its scripts forgotten, it is given them again', async (t) => {
    const store = await connected(t)
    if (!store) return
    await inUse(store)
    await store.server.command('SCRIPT', 'FLUSH')
    assert.deepEqual(await afterwards(store), { closed: 'closed', open: 'open' })
  })

  test('out of memory: calls reject with what it says, and nothing is lost', async (t) => {
    const store = await connected(t)
    if (!store) return
    await inUse(store)
    await store.server.command('CONFIG', 'SET', 'maxmemory', '1')
    await assert.rejects(store.activity.stamp('g', [OPEN]), /OOM/)
    await store.server.command('CONFIG', 'SET', 'maxmemory', '0')
    assert.deepEqual(await afterwards(store), { closed: 'closed', open: 'open' })
  })
})

describe('another server behind the same address', { concurrency: 3 }, () => {
  test('one that is not fit is not used, said once, and used once it was mended', async (t) => {
    const store = await connected(t)
    if (!store) return
    await inUse(store)
    await store.server.kill()
    const other = await RedisServer.start({ port: store.server.port, config: [['maxmemory-policy', 'allkeys-lru']] })
    t.after(() => other.stop())
    await isAway(store, /may evict keys/)
    await wait(2_500) // some more looks at it
    assert.equal(store.said.filter(({ message }) => message.includes('may evict keys')).length, 1)
    assert.deepEqual(await other.command('KEYS', '*'), [], 'nothing was written to it')
    await other.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    assert.deepEqual(await afterwards(store), { closed: 'open', open: 'open' })
  })

  test('the primary dies and a replica takes its address: what had reached it counts', async (t) => {
    const store = await connected(t)
    if (!store) return
    const replica = await RedisServer.start({ replicaOf: store.server })
    t.after(() => replica.stop())
    await inUse(store)
    const hasAll = async (): Promise<boolean> =>
      (await replica.command('EXISTS', 'carrel:{test}:pod:closed', 'carrel:{test}:pod:open')) === 2
    await eventually(hasAll, { withinMs: BACK_WITHIN_MS, because: 'the replica has not what the primary has' })
    await store.server.kill()
    const address = await leadTo(store.server.port, replica.port)
    t.after(() => address.stop())
    await isAway(store, /is a replica/)
    await replica.command('REPLICAOF', 'NO', 'ONE')
    assert.deepEqual(await afterwards(store), { closed: 'closed', open: 'open' })
  })

  test('the primary is demoted under an open connection: nothing is written to it', async (t) => {
    const store = await connected(t)
    if (!store) return
    const other = await RedisServer.start()
    t.after(() => other.stop())
    await inUse(store)
    await store.server.command('REPLICAOF', '127.0.0.1', other.port)
    await isAway(store, /is a replica/)
    await store.server.command('REPLICAOF', 'NO', 'ONE')
    await afterwards(store)
  })
})

test('a command that comes after its caller gave up does nothing: no use, no close, no heartbeat', async (t) => {
  const direct = await connected(t)
  if (!direct) return
  const proxy = await TcpProxy.start({ port: direct.server.port })
  t.after(() => proxy.stop())
  const delayed = await connectTo(direct.server, `redis://127.0.0.1:${proxy.port}`)
  t.after(() => delayed.activity.disconnect())
  await direct.activity.register('due', 0)
  await delayed.activity.stamp('g', [])
  const heard = await direct.server.command('ZSCORE', 'carrel:{test}:heard', 'g')
  await proxy.set({ do: 'stall' })
  const given = await Promise.allSettled([
    delayed.activity.touch('g', { podUID: 'late', idleMs: 1, open: true }),
    delayed.activity.stamp('g', [OPEN]),
    delayed.activity.close('due', 0, []),
  ])
  assert.deepEqual(new Set(given.map(({ status }) => status)), new Set(['rejected']))
  await wait(300) // the slack that its idea of the store's time may have
  await direct.activity.stamp('other', []) // so that the store's time goes on
  await proxy.set({ do: 'pass' })
  await delayed.activity.isHeld('due', '') // behind the others on its connection
  assert.equal(await direct.server.command('EXISTS', 'carrel:{test}:pod:late', 'carrel:{test}:pod:open'), 0)
  assert.equal(await direct.server.command('ZSCORE', 'carrel:{test}:heard', 'g'), heard)
  assert.equal(await direct.server.command('HGET', 'carrel:{test}:pod:due', 'closed'), null)
})

test('two installations in one Redis do not meet', async (t) => {
  const store = await connected(t)
  if (!store) return
  const { activity } = await connectTo(store.server, store.server.url, 'another')
  t.after(() => activity.disconnect())
  await inUse(store)
  assert.equal((await activity.touch('g', { podUID: 'closed', idleMs: 1, open: false })).closed, false)
  assert.equal(await activity.isHeld('open', ''), false)
})

/** The address of a server that has ended, leading to another. */
async function leadTo(port: number, to: number): Promise<{ stop(): Promise<void> }> {
  const open = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1')
    open.add(near)
    near.on('error', () => far.destroy()).pipe(far)
    far.on('error', () => near.destroy()).pipe(near)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
