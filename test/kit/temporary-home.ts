import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * A folder for an installation, removed when this process ends. Not when the test does: hooks of a test run in the order in which
 * they were set, and a removal that meets a process which still writes fails, and with it the hooks that would have ended that process.
 */
export function temporaryHome(prefix = 'carrel-home-'): string {
  const home = mkdtempSync(join(tmpdir(), prefix))
  process.once('exit', () => rmSync(home, { recursive: true, force: true }))
  return home
}
