import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** The test bed's node has it in every container, at the same path. */
export const SHARED_WITH_AGENTS = join(tmpdir(), 'carrel-shared')

/** A folder that agents write to and the test reads, by one path, whatever agents are; gone when the test ends. */
export function sharedFolder(t: TestContext): string {
  mkdirSync(SHARED_WITH_AGENTS, { recursive: true })
  const folder = mkdtempSync(join(SHARED_WITH_AGENTS, 'test-'))
  chmodSync(folder, 0o777)
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
