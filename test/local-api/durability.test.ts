import assert from 'node:assert/strict'
import { access, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { filePersistence } from '../../src/local/api/file-persistence.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { CONFIG_MAPS, PODS, RUNTIMES, TestApi, configMap, ownedBy, pod, runtime } from './api-kit.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'carrel state '))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

async function filesIn(path: string): Promise<string[]> {
  const all = await readdir(path, { recursive: true, withFileTypes: true })
  return all
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .toSorted()
}

const fileOf = (root: string, name: string): string => join(root, 'core/configmaps/default', `${name}.json`)

test('a write is in its file before it is answered, readable by its owner alone', async (t) => {
  const root = await folder(t)
  const api = await TestApi.start({ persistence: filePersistence(root) })
  const made = await api.must('POST', CONFIG_MAPS, configMap('a'))
  assert.deepEqual(JSON.parse(await readFile(fileOf(root, 'a'), 'utf8')), made)
  assert.equal((await stat(fileOf(root, 'a'))).mode & 0o777, 0o600)
  assert.equal((await stat(dirname(fileOf(root, 'a')))).mode & 0o777, 0o700)
  await api.must('DELETE', `${CONFIG_MAPS}/a`)
  await assert.rejects(access(fileOf(root, 'a')), { code: 'ENOENT' })
  assert.ok((await filesIn(root)).every((file) => !file.endsWith('.new')))
})

test('everything but events is there after a restart, and resourceVersions go on', async (t) => {
  const root = await folder(t)
  const before = await TestApi.start({ persistence: filePersistence(root) })
  const owner = await before.must('POST', RUNTIMES, runtime('hello'))
  await before.must('POST', PODS, pod('p', ownedBy(owner)))
  await before.must('POST', CONFIG_MAPS, configMap('gone'))
  await before.must('DELETE', `${CONFIG_MAPS}/gone`)
  await before.must('POST', '/api/v1/namespaces/default/events', {
    metadata: { name: 'e' },
    involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
  })
  const held = [await before.must('GET', RUNTIMES), await before.must('GET', PODS)]
  const last = BigInt(held[1].metadata.resourceVersion)

  const after = await TestApi.start({ persistence: filePersistence(root) })
  await after.settle()
  assert.deepEqual(
    [await after.must('GET', RUNTIMES), await after.must('GET', PODS)].map(({ items }) => items),
    held.map(({ items }) => items),
  )
  assert.deepEqual(await after.names(CONFIG_MAPS), [])
  assert.deepEqual(await after.names('/api/v1/namespaces/default/events'), [])
  const made = await after.must('POST', CONFIG_MAPS, configMap('a'))
  assert.ok(BigInt(made.metadata.resourceVersion) > last)
  const watched = await after.watch(PODS, { resourceVersion: String(last) })
  assert.deepEqual(await watched.news(), ['ERROR 410'], 'watches from before the restart must list again')
})

test('no resourceVersion is given twice over many restarts, even without the counter file', async (t) => {
  const root = await folder(t)
  let last = 0n
  for (let round = 0; round < 5; round += 1) {
    const api = await TestApi.start({ persistence: filePersistence(root) })
    for (let count = 0; count < 3; count += 1) {
      const { metadata } = await api.must('POST', CONFIG_MAPS, configMap(`c-${round}-${count}`))
      assert.ok(BigInt(metadata.resourceVersion) > last)
      last = BigInt(metadata.resourceVersion)
    }
    if (round === 2) await rm(join(root, 'resource-version'))
  }
})

test('more writes than one reserved block go on counting', async () => {
  const persistence = new MemoryPersistence()
  const reserve = persistence.reserve.bind(persistence)
  let reservations = 0
  persistence.reserve = (through) => {
    reservations += 1
    return reserve(through)
  }
  const api = await TestApi.start({ persistence })
  await api.must('POST', CONFIG_MAPS, configMap('a'))
  for (let count = 0; count < 2_500; count += 1) await api.merge(`${CONFIG_MAPS}/a`, { data: { a: `v${count}` } })
  const { metadata } = await api.must('GET', `${CONFIG_MAPS}/a`)
  assert.ok((await persistence.load()).reservedThrough >= Number(metadata.resourceVersion))
  assert.ok(reservations <= 3, 'a block is one write of the counter')
})

test('what was being collected when the process died is collected by the next', async (t) => {
  const root = await folder(t)
  const before = await TestApi.start({ persistence: filePersistence(root) })
  const owner = await before.must('POST', CONFIG_MAPS, configMap('owner'))
  await before.must('POST', CONFIG_MAPS, configMap('child', ownedBy(owner)))
  await before.must('DELETE', `${CONFIG_MAPS}/owner`)
  before.api.close()
  const after = await TestApi.start({ persistence: filePersistence(root) })
  const deadlineMs = Date.now() + 20_000
  while ((await after.names(CONFIG_MAPS)).length > 0 && Date.now() < deadlineMs) await after.settle()
  assert.deepEqual(await after.names(CONFIG_MAPS), [])
})

test(
  'a full disk refuses the write: nothing changes, nobody hears of it, and the next one works',
  { skip: process.platform !== 'linux' && 'needs /dev/full' },
  async (t) => {
    const root = await folder(t)
    const api = await TestApi.start({ persistence: filePersistence(root) })
    const made = await api.must('POST', CONFIG_MAPS, configMap('a'))
    const watched = await api.watch(CONFIG_MAPS, { resourceVersion: made.metadata.resourceVersion })
    const change = { data: { a: '2' } }

    // What is written next to the file goes to a device that has no space left.
    await symlink('/dev/full', `${fileOf(root, 'a')}.new`)
    const refusal = await api.refused(500, 'InternalError', 'PATCH', `${CONFIG_MAPS}/a`, change, {
      contentType: 'application/merge-patch+json',
    })
    assert.match(
      refusal.message,
      /^Internal error occurred: the disk that holds the state is full: free some space and try again; nothing was changed/,
    )
    assert.deepEqual(await api.must('GET', `${CONFIG_MAPS}/a`), made)
    assert.deepEqual(JSON.parse(await readFile(fileOf(root, 'a'), 'utf8')), made)

    await symlink('/dev/full', `${fileOf(root, 'b')}.new`)
    await api.refused(500, 'InternalError', 'POST', CONFIG_MAPS, configMap('b'))
    await api.refused(404, 'NotFound', 'GET', `${CONFIG_MAPS}/b`)
    assert.deepEqual(await watched.news(), [])

    assert.equal((await api.merge(`${CONFIG_MAPS}/a`, change)).data.a, '2')
    await api.must('POST', CONFIG_MAPS, configMap('b'))
    assert.deepEqual(await watched.news(), ['MODIFIED a', 'ADDED b'])
    assert.deepEqual(
      (await filesIn(root)).filter((file) => file.endsWith('.new')),
      [],
    )
  },
)

class FailingPersistence extends MemoryPersistence {
  failing = false

  override async write(...parameters: Parameters<MemoryPersistence['write']>): Promise<void> {
    this.#check()
    await super.write(...parameters)
  }

  override async remove(...parameters: Parameters<MemoryPersistence['remove']>): Promise<void> {
    this.#check()
    await super.remove(...parameters)
  }

  override async reserve(...parameters: Parameters<MemoryPersistence['reserve']>): Promise<void> {
    this.#check()
    await super.reserve(...parameters)
  }

  #check(): void {
    if (this.failing) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
  }
}

test('a disk that fails refuses deletes too, and what the collector could not do it does later', async () => {
  const persistence = new FailingPersistence()
  const api = await TestApi.start({ persistence })
  const owner = await api.must('POST', CONFIG_MAPS, configMap('owner'))
  await api.must('POST', CONFIG_MAPS, configMap('child', ownedBy(owner)))
  persistence.failing = true
  const refusal = await api.refused(500, 'InternalError', 'DELETE', `${CONFIG_MAPS}/owner`)
  assert.match(refusal.message, /the state could not be written, nothing was changed: EIO/)
  assert.deepEqual(await api.names(CONFIG_MAPS), ['child', 'owner'])
  persistence.failing = false
  await api.must('DELETE', `${CONFIG_MAPS}/owner`)
  persistence.failing = true
  await api.settle(3_500)
  assert.deepEqual(await api.names(CONFIG_MAPS), ['child'])
  assert.ok(api.warnings.length >= 2, 'it tries again, and says so')
  persistence.failing = false
  await api.settle(2_000)
  assert.deepEqual(await api.names(CONFIG_MAPS), [])
})

test('a damaged file stops the start, with its name and what to do', async (t) => {
  for (const content of [
    '{"apiVersion": "v1", "ki',
    '',
    '{}',
    'null',
    '[]',
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}',
  ]) {
    const root = await folder(t)
    await mkdir(dirname(fileOf(root, 'a')), { recursive: true })
    await writeFile(fileOf(root, 'a'), content)
    await assert.rejects(TestApi.start({ persistence: filePersistence(root) }), (error: Error) => {
      assert.ok(error.message.startsWith(`${fileOf(root, 'a')} cannot be read`), error.message)
      assert.match(error.message, /repair or remove this file, then start again$/)
      return true
    })
  }
  const root = await folder(t)
  await writeFile(join(root, 'resource-version'), 'many\n')
  await assert.rejects(TestApi.start({ persistence: filePersistence(root) }), /resource-version does not hold a number/)
})

test('a write that died half way leaves the old state', async (t) => {
  const root = await folder(t)
  const before = await TestApi.start({ persistence: filePersistence(root) })
  const made = await before.must('POST', CONFIG_MAPS, configMap('a'))
  await writeFile(`${fileOf(root, 'a')}.new`, '{"apiVersion":"v1","kin')
  const after = await TestApi.start({ persistence: filePersistence(root) })
  assert.deepEqual(await after.must('GET', `${CONFIG_MAPS}/a`), made)
  assert.deepEqual(
    (await filesIn(root)).filter((file) => file.endsWith('.new')),
    [],
  )
})

test('readers do not wait for a writer that waits for the disk', async () => {
  let release = (): void => {}
  const persistence = new MemoryPersistence()
  const api = await TestApi.start({ persistence })
  await api.must('POST', CONFIG_MAPS, configMap('a'))
  const { promise, resolve } = Promise.withResolvers<void>()
  release = resolve
  const write = persistence.write.bind(persistence)
  persistence.write = async (key, object) => {
    await promise
    await write(key, object)
  }
  const writing = api.must('POST', CONFIG_MAPS, configMap('b'))
  assert.deepEqual(await api.names(CONFIG_MAPS), ['a'])
  release()
  await writing
  assert.deepEqual(await api.names(CONFIG_MAPS), ['a', 'b'])
})
