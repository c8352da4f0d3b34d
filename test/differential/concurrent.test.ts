import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import type { KubeObject } from '../../src/kube/objects.ts'
import type { ApiResponse, WatchEvent } from '../../src/kube/transport.ts'
import { needs } from '../kit/ring.ts'
import type { OpenedWatch, Side } from './side.ts'
import { NAMESPACE, startSides, type Sides } from './sides.ts'

/** What happens at the same time has no one outcome to compare; these hold on either server, whatever the order. */

const CLIENTS = 8
const PATH = `/api/v1/namespaces/${NAMESPACE}/configmaps`
const MERGE = 'application/merge-patch+json'

let sides: Promise<Sides> | undefined
after(async () => (await sides)?.close())

function onBoth(title: string, run: (side: Side) => Promise<void>): void {
  for (const name of ['embedded', 'real'] as const) {
    test(`${name}: ${title}`, async (t: TestContext) => {
      if (needs(t, 'CARREL_TEST_CONTROL_PLANE') === undefined) return
      sides ??= startSides()
      await run((await sides)[name])
    })
  }
}

function create(side: Side, name: string, data: Record<string, string> = {}): Promise<ApiResponse> {
  return side.request({ method: 'POST', path: PATH, body: { metadata: { name }, data } })
}

async function atOnce<Value>(run: (client: number) => Promise<Value>): Promise<Value[]> {
  return Promise.all(Array.from({ length: CLIENTS }, (_, client) => run(client)))
}

onBoth('of concurrent creates of one name exactly one wins', async (side) => {
  for (let round = 0; round < 20; round += 1) {
    const answers = await atOnce(() => create(side, `one-${round}`))
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, ...Array.from({ length: CLIENTS - 1 }, () => 409)])
  }
})

onBoth('of concurrent replaces of one resourceVersion exactly one wins, so that no increment is lost', async (side) => {
  await create(side, 'counter', { count: '0' })
  const wins = await atOnce(async () => {
    let won = 0
    for (let attempt = 0; attempt < 10; attempt += 1) {
      const { body } = await side.request({ method: 'GET', path: `${PATH}/counter` })
      const { data, ...rest } = body as KubeObject & { data: { count: string } }
      const { status } = await side.request({
        method: 'PUT',
        path: `${PATH}/counter`,
        body: { ...rest, data: { count: `${Number(data.count) + 1}` } },
      })
      assert.ok(status === 200 || status === 409, `${status}`)
      if (status === 200) won += 1
    }
    return won
  })
  const { body } = await side.request({ method: 'GET', path: `${PATH}/counter` })
  const total = wins.reduce((sum, won) => sum + won)
  assert.ok(total >= 10, `${total} replaces won`)
  assert.equal((body as { data: { count: string } }).data.count, `${total}`)
})

onBoth('of concurrent deletes of one uid exactly one takes the object, and never its successor', async (side) => {
  for (let round = 0; round < 10; round += 1) {
    const { uid } = ((await create(side, 'successor')).body as KubeObject).metadata
    const remove = (): Promise<ApiResponse> =>
      side.request({ method: 'DELETE', path: `${PATH}/successor`, body: { preconditions: { uid } } })
    const answers = await atOnce(async (client) => (client === 0 ? recreated(side, remove) : remove()))
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    const left = await side.request({ method: 'GET', path: `${PATH}/successor` })
    assert.equal(left.status, 200, 'the successor lives')
    await side.request({ method: 'DELETE', path: `${PATH}/successor` })
  }
})

/** Deletes, and makes a new object of that name while others still delete the old one. */
async function recreated(side: Side, remove: () => Promise<ApiResponse>): Promise<ApiResponse> {
  const removed = await remove()
  let made = await create(side, 'successor')
  while (made.status === 409) made = await create(side, 'successor')
  return removed
}

onBoth('what watches brought is what a list says, and each object moves forward only', async (side) => {
  const start = await listOf(side)
  const watch = async (query: Record<string, string>): Promise<OpenedWatch> => {
    const opened = await side.watch({ path: PATH, query: { watch: 'true', resourceVersion: start.resourceVersion, ...query } })
    assert.ok('events' in opened)
    return opened
  }
  const early = await watch({})
  const selecting = watch({ labelSelector: 'shown' })
  await atOnce((client) => churn(side, client))
  const late = await watch({})
  const end = await listOf(side)
  await create(side, 'last')
  await side.request({ method: 'PATCH', path: `${PATH}/last`, contentType: MERGE, body: { metadata: { labels: { shown: 'yes' } } } })

  for (const [opened, isSelected] of [
    [early, () => true],
    [late, () => true],
    [await selecting, (object: KubeObject) => object.metadata.labels?.['shown'] !== undefined],
  ] as const) {
    assert.ok(await opened.until(isLast, 20_000), 'the last event came')
    opened.end()
    const before = opened.events.slice(
      0,
      opened.events.findIndex(({ object }) => nameOf(object) === 'last'),
    )
    assert.deepEqual(followed(start.items.filter(isSelected), before), versionsOf(end.items.filter(isSelected)))
  }
  await side.request({ method: 'DELETE', path: `${PATH}/last` })
})

/** Deterministic per client; what collides with what is up to the machine. */
async function churn(side: Side, client: number): Promise<void> {
  for (let step = 0; step < 24; step += 1) {
    const path = `${PATH}/churn-${(client * 7 + step * 5) % 4}`
    const choice = (client + step) % 4
    if (choice === 0) await side.request({ method: 'DELETE', path })
    else if (choice === 1) await create(side, path.slice(PATH.length + 1), { by: `${client}` })
    else {
      const labels = { shown: choice === 2 ? 'yes' : null }
      await side.request({ method: 'PATCH', path, contentType: MERGE, body: { metadata: { labels }, data: { by: `${client}-${step}` } } })
    }
  }
}

async function listOf(side: Side): Promise<{ items: KubeObject[]; resourceVersion: string }> {
  const { items, metadata } = (await side.request({ method: 'GET', path: PATH })).body as {
    items: KubeObject[]
    metadata: { resourceVersion: string }
  }
  return { items, resourceVersion: metadata.resourceVersion }
}

function nameOf(object: WatchEvent['object']): string {
  return (object as KubeObject).metadata.name
}

function isLast({ object }: WatchEvent): boolean {
  return nameOf(object) === 'last' && (object as KubeObject).metadata.labels?.['shown'] === 'yes'
}

/** What a client holds that applies the events to what it had listed. */
function followed(listed: readonly KubeObject[], events: readonly WatchEvent[]): Record<string, string> {
  const held = new Map(listed.map(({ metadata }) => [metadata.name, metadata.resourceVersion!]))
  let newest = 0n
  for (const { type, object } of events) {
    const { name, resourceVersion = '' } = (object as KubeObject).metadata
    assert.ok(BigInt(resourceVersion) > newest, `${type} ${name} at ${resourceVersion} comes after ${newest}`)
    newest = BigInt(resourceVersion)
    assert.equal(held.has(name), type !== 'ADDED', `${type} ${name}`)
    if (type === 'DELETED') held.delete(name)
    else held.set(name, resourceVersion)
  }
  return Object.fromEntries([...held].toSorted())
}

function versionsOf(items: readonly KubeObject[]): Record<string, string> {
  return Object.fromEntries(items.map(({ metadata }) => [metadata.name, metadata.resourceVersion!] as [string, string]).toSorted())
}
