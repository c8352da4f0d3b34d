import { after, before, type TestContext } from 'node:test'
import { LONGEST_STEP_MS } from '../../src/activity/redis/scripts.ts'
import type { RedisActivity } from '../../src/activity/redis.ts'
import { portSuite, type StoreUnderTest } from '../activity/port-suite.ts'
import { connectTo } from '../kit/redis-activity.ts'
import { RedisServer } from '../kit/redis.ts'
import { needs } from '../kit/ring.ts'
import { find, rendered } from './helm.ts'

/** Of Redis' clock. It never goes back from test to test. */
const START_MS = 1_000_000

for (const user of ['operator', 'gateway']) {
  let lent: { server: RedisServer; activity: RedisActivity } | undefined
  let nowMs = START_MS

  before(async () => {
    if (!process.env['CARREL_TEST_REDIS'] || !process.env['CARREL_TEST_FAKETIME'] || !process.env['CARREL_TEST_HELM']) return
    const server = await RedisServer.start({ faketime: true, acl: { user, password: 'of-the-test', rules: rulesOf(user) } })
    server.freezeClock(nowMs)
    lent = { server, activity: (await connectTo(server)).activity }
  })
  after(async () => {
    lent?.activity.disconnect()
    await lent?.server.stop()
  })

  portSuite(`with the rights of the chart’s ${user}`, async (t: TestContext): Promise<StoreUnderTest | undefined> => {
    if (!needs(t, 'CARREL_TEST_REDIS') || !needs(t, 'CARREL_TEST_FAKETIME') || !needs(t, 'CARREL_TEST_HELM')) return undefined
    const { server, activity } = lent!
    await server.empty()
    await activity.isHeld('nobody', '') // the store's time begins
    return {
      activity,
      empty: () => server.empty(),
      async advance(ms) {
        const untilMs = nowMs + ms
        while (nowMs < untilMs) {
          nowMs = Math.min(untilMs, nowMs + LONGEST_STEP_MS - 125)
          server.freezeClock(nowMs)
          await activity.isHeld('nobody', '')
        }
      },
    }
  })
}

/** What users.acl says of it, after its password. */
function rulesOf(user: string): string {
  const secret = find(rendered({ redis: { prefix: 'test' } }), 'Secret', 'carrel-redis')['data'] as Record<string, string>
  const users = Buffer.from(secret['users.acl']!, 'base64').toString()
  const rules = new RegExp(`^user ${user} on #[0-9a-f]{64} (.*)$`, 'm').exec(users)?.[1]
  if (rules === undefined) throw new Error(`users.acl has no ${user}: ${users}`)
  return rules
}
