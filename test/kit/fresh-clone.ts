import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import type { TestContext } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')
/** What git would not have. */
const NOT_COMMITTED = new Set(['node_modules', '.git', 'dist', '.carrel', '.venv', '__pycache__'])

/** A copy of this checkout as a fresh clone has it, in a folder with a space in its path. */
export function freshClone(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'carrel fresh clone '))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const clone = join(folder, 'carrel')
  cpSync(ROOT, clone, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => relative(ROOT, path) === '' || !NOT_COMMITTED.has(basename(path)),
  })
  return clone
}

/** A PATH on which there is one Node, a shell, and nothing else: no Python, no Go, no kubectl, no other Node. */
export function barePath(t: TestContext, node: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'carrel-path-'))
  t.after(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'bin'))
  for (const [name, target] of [
    ['node', node],
    ['sh', '/bin/sh'],
  ] as const)
    symlinkSync(target, join(folder, 'bin', name))
  return join(folder, 'bin')
}

/** The environment without what an npm or a test runner above has put there, with that PATH. */
export function shellWith(path: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(?!config_(registry|cache|userconfig|cafile)$)|NODE_TEST|CARREL_(?!TEST_|CACHE)|INIT_CWD|CI$)/.test(name),
  )
  return { ...Object.fromEntries(kept), PATH: path }
}
