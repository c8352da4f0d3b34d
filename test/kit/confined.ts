import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { temporaryHome } from './temporary-home.ts'

/** Nobody's number on any machine; needs no entry in /etc/passwd. */
export const CONFINED_UID = 54_321

/** $1: an empty folder for the new root; $2: the number of folders that follow; then these, then the command. */
const SCRIPT = `
set -eu
umask 022
new=$1; count=$2; shift 2
mount -t tmpfs -o mode=755 carrel "$new"
for folder in bin sbin lib lib32 lib64 libx32 usr etc opt proc dev; do
  if [ -L "/$folder" ]; then cp -P "/$folder" "$new/$folder"
  elif [ -d "/$folder" ]; then mkdir "$new/$folder"; mount --rbind "/$folder" "$new/$folder"; fi
done
mkdir -m 1777 "$new/tmp"
while [ "$count" -gt 0 ]; do
  mkdir -p "$new$1"; mount --rbind "$1" "$new$1"
  shift; count=$((count - 1))
done
exec chroot "$new" setpriv --reuid=${CONFINED_UID} --regid=${CONFINED_UID} --clear-groups --no-new-privs env HOME=/tmp "$@"
`

/**
 * A prefix for a command that then runs as a user without rights, in a root file system of the system's own folders and
 * of `folders` at their usual paths, and without /.dockerenv. Needs root.
 */
export function confined(t: TestContext, folders: readonly string[]): string[] {
  const root = mkdtempSync(join(tmpdir(), 'carrel-root-'))
  t.after(() => rmSync(root, { recursive: true }))
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', SCRIPT, 'sh', root, String(folders.length), ...folders]
}

/** A folder of that user's own. */
export function confinedHome(): string {
  const home = temporaryHome()
  chmodSync(home, 0o700)
  chownSync(home, CONFINED_UID, CONFINED_UID)
  return home
}
