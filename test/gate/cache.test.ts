import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const folder = mkdtempSync(join(tmpdir(), 'carrel cache '))
after(() => rmSync(folder, { recursive: true }))
process.env['CARREL_CACHE'] = folder
const { cached } = await import('../../scripts/rings/cache.ts')

const write = (text: string) => (fresh: string) => writeFileSync(join(fresh, 'file'), text)
const read = (path: string): string => readFileSync(join(path, 'file'), 'utf8')
const fail = (): never => assert.fail('made again')

test('what is cached is made once, and its name is its version', () => {
  assert.equal(read(cached('a-1', write('one'))), 'one')
  assert.equal(read(cached('a-1', fail)), 'one')
  assert.equal(read(cached('a-2', write('two'))), 'two')
})

test('a making that fails leaves nothing, and the next one tries again', () => {
  const before = readdirSync(folder)
  assert.throws(() => cached('b', () => assert.fail('no network')), /no network/)
  assert.deepEqual(readdirSync(folder), before)
  assert.equal(read(cached('b', write('b'))), 'b')
})

test('of two that make the same at once the second takes what the first made', () => {
  const path = cached('c', (fresh) => {
    cached('c', write('first'))
    write('second')(fresh)
  })
  assert.equal(read(path), 'first')
})

test('what no longer works is made anew', () => {
  cached('d', write('stale'))
  const tryOut = (path: string): void => assert.equal(read(path), 'works')
  assert.equal(read(cached('d', write('works'), tryOut)), 'works')
  assert.ok(existsSync(join(folder, 'd')))
})
