import { chmodSync, cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import type { TestContext } from 'node:test'

/** A copy of the folder `source` as a user has it: below a folder with the virtual environment of `python` in it as .venv. */
export function pythonProject(t: TestContext, source: string, python: string): string {
  const project = mkdtempSync(join(tmpdir(), 'carrel-python-'))
  t.after(() => rmSync(project, { recursive: true }))
  chmodSync(project, 0o755)
  symlinkSync(dirname(dirname(python)), join(project, '.venv'))
  const code = join(project, basename(source))
  cpSync(source, code, { recursive: true, filter: (path) => !/\.venv|__pycache__/.test(path) })
  return code
}
