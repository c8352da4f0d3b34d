import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { ActivitySetupError, ActivityUnavailableError } from '../../src/activity/errors.ts'
import { openRedisActivity } from '../../src/activity/redis.ts'
import { parseRedisURL } from '../../src/activity/redis/address.ts'
import { faultIn } from '../../src/activity/redis/requirements.ts'
import { ACL_COMMANDS } from '../../src/activity/redis/scripts.ts'
import { freePort } from '../kit/free-port.ts'
import { connectTo, listeningEnv } from '../kit/redis-activity.ts'
import { RedisServer, type RedisOptions } from '../kit/redis.ts'
import { needs } from '../kit/ring.ts'

const USER = { user: 'carrel', password: 'p@ss:wo/rd%1', rules: `~carrel:{test}:* ${ACL_COMMANDS}` }
/** Connect, one attempt, and the checks: well within what a person waits for. */
const QUICKLY_MS = 4_000

async function redisFor(t: TestContext, options: RedisOptions = {}): Promise<RedisServer | undefined> {
  if (!needs(t, 'CARREL_TEST_REDIS')) return undefined
  const server = await RedisServer.start(options)
  t.after(() => server.stop())
  return server
}

/** The refusal's message: one line, soon, without the password. */
async function refusal(redis: string, redisCaFile?: string): Promise<string> {
  const { env, said } = listeningEnv()
  const beganAtMs = performance.now()
  const error = await openRedisActivity({ redis, redisCaFile, redisPrefix: 'test' }, env).then(
    (activity) => {
      activity.disconnect()
      return assert.fail(`${redis} was taken`)
    },
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof ActivitySetupError, String(error))
  assert.ok(performance.now() - beganAtMs < QUICKLY_MS, 'too late')
  assert.doesNotMatch(error.message, /\n/)
  assert.doesNotMatch(JSON.stringify(error, Object.getOwnPropertyNames(error)), /p@ss|p%40ss/)
  assert.deepEqual(said, [], 'the refusal is the message')
  return error.message
}

function withUser(server: RedisServer, user: string, password: string): string {
  return server.url.replace(/:\/\/.*@/, `://${user}:${encodeURIComponent(password)}@`)
}

describe('a Redis that cannot be the store is refused at start', () => {
  for (const [name, value, wanted] of [
    ['maxmemory-policy', 'allkeys-lru', /may evict keys \(maxmemory-policy is allkeys-lru\).*set "maxmemory-policy noeviction"/],
    ['appendonly', 'no', /forget at a restart which pods are closed: set "appendonly yes"/],
  ] as const) {
    test(`${name} ${value}`, async (t) => {
      const server = await redisFor(t, { config: [[name, value]] })
      if (server) assert.match(await refusal(server.url), wanted)
    })
  }

  test('a replica', async (t) => {
    const primary = await redisFor(t)
    if (!primary) return
    const replica = await redisFor(t, { replicaOf: primary })
    assert.match(await refusal(replica!.url), /is a replica: name the primary/)
  })

  test('one part of a cluster', async (t) => {
    const server = await redisFor(t, { config: [['cluster-enabled', 'yes']] })
    if (server) assert.match(await refusal(server.url), /Redis Cluster, which is not supported/)
  })

  test('one that is still loading', () => {
    assert.match(faultIn('loading:1\r\nrole:master\r\n')!, /still loading/)
  })
})

describe('an ACL user', () => {
  test('needs no more than the documented rules', async (t) => {
    const server = await redisFor(t, { acl: USER })
    if (!server) return
    const { activity } = await connectTo(server)
    t.after(() => activity.disconnect())
    assert.deepEqual(await activity.touch('g', { podUID: 'pod', idleMs: 1_000, open: false }), {
      podUID: 'pod',
      closed: false,
      remainingMs: 1_000,
    })
  })

  test('is documented with the rules that the tests use', () => {
    const guide = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'guide', 'redis.md'), 'utf8')
    assert.ok(guide.includes(`~carrel:{carrel}:* ${ACL_COMMANDS}\n`))
  })

  test('that lacks a command, or the keys, is told which', async (t) => {
    const server = await redisFor(t, { acl: { ...USER, rules: `~carrel:{test}:* ${ACL_COMMANDS} -zrange` } })
    if (!server) return
    assert.match(await refusal(server.url), /does not let this user do what Carrel needs \(.*\): grant the commands/)
    await server.command('ACL', 'SETUSER', USER.user, '+zrange', 'resetkeys', '~other:*')
    assert.match(await refusal(server.url), /does not let this user do what Carrel needs/)
    await server.command('ACL', 'SETUSER', USER.user, 'allkeys', '-info')
    assert.match(await refusal(server.url), /does not let this user.*info/)
  })

  test('with a wrong password, an unknown one, and none are told so, without the password', async (t) => {
    const server = await redisFor(t, { acl: USER })
    if (!server) return
    assert.match(await refusal(withUser(server, USER.user, 'p@ss-wrong')), /refuses the user name or password/)
    assert.match(await refusal(withUser(server, 'nobody', USER.password)), /refuses the user name or password/)
    assert.match(await refusal(`redis://127.0.0.1:${server.port}`), /wants a user name and password: .*CARREL_REDIS/)
  })
})

describe('TLS', () => {
  test('with the authority named, and an ACL user', async (t) => {
    const server = await redisFor(t, { tls: true, acl: USER })
    if (!server) return
    const { activity } = await connectTo(server)
    t.after(() => activity.disconnect())
    assert.deepEqual(await activity.stamp('g', []), [])
    const byName = await connectTo(server, server.url.replace('127.0.0.1', 'localhost'))
    byName.activity.disconnect()
  })

  test('an authority that is not known, and another one, are refused', async (t) => {
    const server = await redisFor(t, { tls: true })
    const other = await redisFor(t, { tls: true })
    if (!server || !other) return
    assert.match(await refusal(server.url), /certificate of an unknown authority .*--redis-ca-file/)
    assert.match(await refusal(server.url, other.caFile), /certificate of an unknown authority/)
  })

  test('a certificate for another host is refused', async (t) => {
    const server = await redisFor(t, { tls: true })
    // A way to write the address that no certificate names.
    if (server) assert.match(await refusal(server.url.replace('127.0.0.1', '127.1'), server.caFile), /certificate that is not for 127\.1/)
  })

  test('TLS to a plain port and plain to a TLS port say which is wrong', async (t) => {
    const plain = await redisFor(t)
    const secret = await redisFor(t, { tls: true })
    if (!plain || !secret) return
    assert.match(await refusal(plain.url.replace('redis:', 'rediss:'), secret.caFile), /is it redis:\/\/ \(no TLS\)/)
    assert.match(await refusal(secret.url.replace('rediss:', 'redis:')), /is it rediss:\/\/ \(TLS\)/)
  })

  test('a file of the authority that cannot be read, or has no use, is said', async () => {
    assert.match(
      await refusal('rediss://127.0.0.1:1', join('/nowhere', 'ca.pem')),
      /--redis-ca-file \/nowhere\/ca.pem cannot be read \(ENOENT\)/,
    )
    assert.match(await refusal('redis://127.0.0.1:1', '/etc/hostname'), /is redis:\/\/: write rediss:\/\//)
  })
})

describe('an address where no Redis is', () => {
  test('nothing listens', async () => {
    assert.match(await refusal(`redis://127.0.0.1:${await freePort()}`), /cannot be reached \(ECONNREFUSED\): start it/)
  })

  test('no such host', async () => {
    assert.match(await refusal('redis://u:p%40ss@no-such-host.invalid'), /no-such-host.invalid:6379 has a host name that is not known/)
  })

  test('something that speaks HTTP, something that hangs up, and something that says nothing', async (t) => {
    const port = async (answer: (server: Server) => void): Promise<number> => {
      const server = createServer()
      answer(server)
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      t.after(() => server.close())
      return (server.address() as { port: number }).port
    }
    const http = await port((server) =>
      server.on('connection', (socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    )
    assert.match(await refusal(`redis://127.0.0.1:${http}`), /does not speak the Redis protocol/)
    const hangsUp = await port((server) => server.on('connection', (socket) => socket.destroy()))
    assert.match(await refusal(`redis://127.0.0.1:${hangsUp}`), /broke off/)
    const silent = await port((server) => server.on('connection', (socket) => void t.after(() => socket.destroy())))
    assert.match(await refusal(`redis://127.0.0.1:${silent}`), /does not answer in time/)
  })
})

test('a process with a Redis that it cannot use says so in one line, ends with 1, and shows no password', async (t) => {
  const server = await redisFor(t, { acl: USER })
  if (!server) return
  const kubeconfig = join(server.directory, 'kubeconfig')
  const named = (kind: string, of: object): object[] => [{ name: 'x', [kind]: of }]
  const config = {
    'current-context': 'x',
    contexts: named('context', { cluster: 'x', user: 'x' }),
    clusters: named('cluster', { server: 'http://127.0.0.1:1' }),
    users: named('user', { token: 'x' }),
  }
  writeFileSync(kubeconfig, JSON.stringify(config))
  for (const part of ['gateway', 'operator']) {
    const main = join(import.meta.dirname, '..', '..', 'src', part, 'main.ts')
    const secrets = { CARREL_REDIS: withUser(server, USER.user, 'p@ss-wrong'), CARREL_METER_SECRET: 'x'.repeat(32) }
    const env: NodeJS.ProcessEnv = { ...process.env, ...secrets }
    const run = (...flags: string[]): Promise<{ stdout: string; stderr: string }> =>
      promisify(execFile)(process.execPath, [main, '--kubeconfig', kubeconfig, ...flags], { env })
    const failed = await run().then(
      () => assert.fail('it went on'),
      (error: { code: number; stdout: string; stderr: string }) => error,
    )
    const said = failed.stdout + failed.stderr
    assert.equal(failed.code, 1)
    assert.match(said, /Redis at 127.0.0.1:\d+ refuses the user name or password/)
    assert.equal(said.trim().split('\n').length, 1, said)
    const help = await run('--help')
    assert.match(help.stdout, /--redis <value>/)
    assert.doesNotMatch(said + help.stdout + help.stderr, /p@ss|p%40ss/)
  }
})

test('a URL that cannot be read is refused without showing it', async () => {
  for (const url of ['http://p%40ss@host', 'redis://', 'p@ss', 'redis://u:p%40ss@host/name', 'redis://u:p@ss?x=1', 'redis://u:%zz@h']) {
    assert.match(await refusal(url), /URL/)
  }
})

test('a URL may name user, password, port and database', () => {
  const plain = { host: 'h', port: 6379, tls: false, username: undefined, password: undefined, database: 0 }
  assert.deepEqual(parseRedisURL('redis://h'), plain)
  assert.deepEqual(parseRedisURL('redis://:a%2Fb@h/'), { ...plain, password: 'a/b' })
  assert.deepEqual(parseRedisURL('rediss://u:p@[::1]:7/12'), {
    host: '::1',
    port: 7,
    tls: true,
    username: 'u',
    password: 'p',
    database: 12,
  })
})

test('once closed, every call rejects at once', async (t) => {
  const server = await redisFor(t)
  if (!server) return
  const { activity } = await connectTo(server)
  activity.disconnect()
  await assert.rejects(activity.stamp('g', []), ActivityUnavailableError)
})
