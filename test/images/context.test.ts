import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { contentHash, filesOf, isIgnored, parseIgnore } from '../cluster/images/context.ts'

function folderOf(t: TestContext, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'carrel-context-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

test('the last rule that fits a path decides, and a rule for a folder holds for what is in it', () => {
  const rules = parseIgnore('# comment\n*\n!src\n!package.json\n**/__pycache__\n\n')
  const ignored = (path: string): boolean => isIgnored(path, rules)
  assert.deepEqual(
    ['README.md', '.git/config', 'src', 'src/a/b.ts', 'package.json', 'src/a/__pycache__/b.pyc', 'test/package.json'].map(ignored),
    [true, true, false, false, false, true, true],
  )
})

test('what .dockerignore opens again is found in a folder that it closes', (t) => {
  const folder = folderOf(t, { 'a/b.txt': '', 'a/c.txt': '', 'd/e.txt': '', 'f.txt': '' })
  assert.deepEqual(filesOf(folder, '', parseIgnore('*\n!a/b.txt')), ['a/b.txt'])
  assert.deepEqual(filesOf(folder, '', []), ['a/b.txt', 'a/c.txt', 'd/e.txt', 'f.txt'])
  assert.deepEqual(filesOf(folder, 'a', parseIgnore('a/b.txt')), ['a/c.txt'])
})

test('the hash of a context changes with names, contents and links, and with nothing else', (t) => {
  const hashOf = (files: Record<string, string>, link?: string): string => {
    const folder = folderOf(t, files)
    if (link !== undefined) symlinkSync(link, join(folder, 'link'))
    return contentHash(folder, filesOf(folder, '', []))
  }
  assert.equal(hashOf({ a: '1', b: '2' }), hashOf({ b: '2', a: '1' }))
  const hashes = [
    hashOf({ a: '1' }),
    hashOf({ a: '2' }),
    hashOf({ b: '1' }),
    hashOf({ a: '' }),
    hashOf({ a: '1' }, 'a'),
    hashOf({ a: '1' }, 'b'),
  ]
  assert.equal(new Set(hashes).size, hashes.length)
})
