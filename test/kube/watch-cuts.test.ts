/**
 * A thousand cuts: reflectors on a real kube-apiserver whose watches break at random for a minute while sessions and pods
 * come, change and go. At the end each store is what a fresh list is, and so is what its listeners were told.
 *
 * CARREL_TEST_SEED replays what is drawn; the cuts of a real network never fall the same way twice.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGENT_SESSIONS } from '../../src/crds/agent-session.ts'
import { seededRandom } from '../../src/env/virtual.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { PODS, type Resource } from '../../src/kube/resource.ts'
import { ControlPlane } from '../control-plane/control-plane.ts'
import { eventually } from '../kit/eventually.ts'
import { needs } from '../kit/ring.ts'
import { TcpProxy } from '../kit/tcp-proxy.ts'
import { keepChanging } from './changing-objects.ts'
import { Followed } from './followed.ts'
import { ENV } from './quiet-env.ts'

const CUTS = 250
const SECONDS = 15
/** Of each kind. */
const REFLECTORS = 10
const WRITERS = 3

test(`${CUTS} watch cuts at random over ${SECONDS} s lose and invent nothing`, { timeout: 300_000 }, async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const seed = Number(process.env['CARREL_TEST_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const plane = await ControlPlane.start()
  const proxy = await TcpProxy.start({ port: Number(new URL(plane.server).port) })
  const cuttable = httpTransport({ ...plane.access, server: `https://127.0.0.1:${proxy.port}` })
  const direct = httpTransport(plane.access)
  const client = new KubeClient(direct)
  const kinds = [AGENT_SESSIONS, PODS] as Resource<KubeObject>[]
  const followers = kinds.flatMap((kind) =>
    Array.from({ length: REFLECTORS }, () => new Followed<KubeObject>(ENV, cuttable, kind, { namespace: 'default' })),
  )
  const end = new AbortController()
  t.after(async () => {
    end.abort()
    await Promise.all(followers.map((each) => each.stop()))
    await Promise.all([cuttable.close(), direct.close()])
    await proxy.stop()
    await plane.stop()
  })
  await Promise.all(followers.map(({ store }) => store.synced))

  const writing = Array.from({ length: WRITERS }, (_, index) =>
    keepChanging(client, 'default', seededRandom(`${seed}/${index}`), end.signal),
  )
  await cutAtRandom(proxy, random, () => watchesCut(followers))
  end.abort()
  const writes = (await Promise.all(writing)).reduce((sum, each) => sum + each, 0)

  for (const followed of followers) {
    await eventually(() => followed.isCurrent(client, { namespace: 'default' }), {
      withinMs: 40_000,
      because: 'every store catches up',
    }).catch(() => {})
    await followed.assertCurrent(client, { namespace: 'default' })
  }
  const heard = followers.reduce((sum, each) => sum + each.heard.length, 0)
  const lists = followers.reduce((sum, each) => sum + each.counters.lists, 0)
  t.diagnostic(
    `${watchesCut(followers)} watches cut, ${writes} writes, ${heard} changes heard, ${lists} lists by ${followers.length} reflectors`,
  )
  assert.ok(writes >= 500, `${writes} writes`)
  assert.ok(lists <= followers.length * 3, `${lists} lists: a cut watch goes on from where it was`)
})

/** Evenly over the time on the average, one connection at a time; longer where the machine is slow. */
async function cutAtRandom(proxy: TcpProxy, random: ReturnType<typeof seededRandom>, count: () => number): Promise<void> {
  const startedAtMs = performance.now()
  const everyMs = (SECONDS * 1000) / CUTS
  await eventually(
    () => {
      const elapsedMs = performance.now() - startedAtMs
      const due = Math.min(elapsedMs / everyMs, CUTS) - count()
      for (let cut = 0; cut < due; cut += 1) proxy.cut((open) => (open === 0 ? [] : [Math.floor(random.fraction() * open)]))
      return elapsedMs >= SECONDS * 1000 && count() >= CUTS
    },
    { withinMs: SECONDS * 3_000, everyMs: 1 + random.fraction() * everyMs, because: `${CUTS} watches were cut` },
  )
}

function watchesCut(followers: readonly Followed<KubeObject>[]): number {
  return followers.reduce((sum, { counters }) => sum + (counters.restarts['cut'] ?? 0), 0)
}
