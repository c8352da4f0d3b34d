import { existsSync } from 'node:fs'
import { run } from './cache.ts'

/** From the system's packages, as root on Debian; elsewhere it throws with `reason` and what to install. No service is started. */
export function installDebian(packages: string[], reason: string): void {
  const isRoot = process.getuid?.() === 0
  if (!isRoot || !existsSync('/usr/bin/apt-get'))
    throw new Error(`${reason}; install ${packages.join(' ')} (as root, on Debian, npm test does it)`)
  console.log(`     installing ${packages.join(' ')} from Debian …`)
  // RUNLEVEL 1: Debian starts no service that a package brings.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  run('apt-get', ['update', '-qq'], { env })
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env })
}
