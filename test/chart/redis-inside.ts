/** Adapter: the chart's own Redis, by the chart's own configuration, as a process of this machine. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { eventually } from '../kit/eventually.ts'
import { freePort } from '../kit/free-port.ts'
import { certificateFor } from '../kit/redis-tls.ts'
import { find, rendered } from './helm.ts'

export interface RedisInside {
  /** What operator or gateway are given, at this machine's address. */
  urlOf(user: string): string
  caFile: string | undefined
  /** As somebody, or nobody. Ends with the test's. */
  client(credentials?: { username: string; password: string }): Redis
  passwordOf(user: string): string
  /** As a node that lost its power; starts again on the same data. */
  restart(): Promise<void>
  stop(): Promise<void>
}

const START_MS = 20_000

export async function startRedisInside(values: object, { tls = false } = {}): Promise<RedisInside> {
  const objects = rendered(values)
  const directory = mkdtempSync(join(tmpdir(), 'carrel-redis-inside-'))
  const port = await freePort()
  const secret = find(objects, 'Secret', 'carrel-redis')['data'] as Record<string, string>
  const read = (key: string): string => Buffer.from(secret[key]!, 'base64').toString()
  const caFile = tls ? certificateFor(directory) : undefined
  writeFileSync(join(directory, 'users.acl'), read('users.acl'))
  writeFileSync(join(directory, 'redis.conf'), placed(find(objects, 'ConfigMap', 'carrel-redis')['data']['redis.conf'], directory, port))

  const clients = new Set<Redis>()
  const client = (credentials = {}): Redis => {
    const trust = caFile === undefined ? {} : { tls: { rejectUnauthorized: false } }
    const made = new Redis({
      host: '127.0.0.1',
      port,
      lazyConnect: true,
      enableReadyCheck: false,
      maxRetriesPerRequest: 1,
      ...trust,
      ...credentials,
    })
    made.on('error', () => {})
    clients.add(made)
    return made
  }
  const looking = client({ username: 'operator', password: read('operator-password') })
  const launch = async (): Promise<ChildProcess> => {
    const child = spawn(process.env['CARREL_TEST_REDIS']!, [join(directory, 'redis.conf'), '--logfile', join(directory, 'log')], {
      stdio: 'ignore',
    })
    await eventually(async () => (await looking.info()).includes('loading:0'), {
      withinMs: START_MS,
      because: 'the chart’s Redis is ready',
    })
    return child
  }
  let child = await launch()
  const end = async (): Promise<void> => {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  return {
    caFile,
    client,
    urlOf: (user) => read(`${user}-url`).replace('carrel-redis:6379', `127.0.0.1:${port}`),
    passwordOf: (user) => read(`${user}-password`),
    async restart() {
      await end()
      child = await launch()
    },
    async stop() {
      for (const each of clients) each.disconnect()
      await end()
      rmSync(directory, { recursive: true })
    },
  }
}

/** Only where things are is another. */
function placed(configuration: string, directory: string, port: number): string {
  return configuration
    .replace('bind * -::*', 'bind 127.0.0.1')
    .replace('dir /data', `dir ${directory}`)
    .replace(/^(tls-)?port 6379$/m, `$1port ${port}`)
    .replace('/etc/redis-users/users.acl', join(directory, 'users.acl'))
    .replace('/etc/redis-tls/tls.crt', join(directory, 'server.crt'))
    .replace('/etc/redis-tls/tls.key', join(directory, 'server.key'))
    .replace('/etc/redis-tls/ca.crt', join(directory, 'ca.crt'))
}
