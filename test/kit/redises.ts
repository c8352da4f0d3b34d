import { after } from 'node:test'
import type { RedisServer } from './redis.ts'

export interface LentRedis {
  server: RedisServer
  giveBack(): Promise<void>
}

const idle: LentRedis[] = []
const all = new Set<LentRedis>()
after(() => Promise.all([...all].map((each) => each.server.stop()))) // of the file: inside a test it would be the test's

/** A Redis of this test file, empty; one installation has it at a time. */
export async function lendRedis(): Promise<LentRedis> {
  const free = idle.pop()
  if (free) return free
  const { RedisServer: Server } = await import('./redis.ts')
  const server = await Server.start()
  const lent: LentRedis = {
    server,
    async giveBack() {
      await server.empty()
      idle.push(lent)
    },
  }
  all.add(lent)
  return lent
}
