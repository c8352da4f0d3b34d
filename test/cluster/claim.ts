import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeCgroups } from './cgroups.ts'

/** Clusters that one machine holds at a time. */
const MOST = 60
const OWNER = 'owner'
const NAME = /^carrel-cluster-\d+$/

/**
 * What one cluster has for itself: a folder, cgroups by the folder's name, and addresses of 198.18.0.0/15, which is set
 * apart for tests of networks (RFC 2544).
 */
export interface Claim {
  /** `carrel-cluster-<number>` */
  name: string
  /** Its path is short: sockets are in it. */
  directory: string
  /** Of this machine, as the node and its pods see it. */
  hostAddress: string
  nodeAddress: string
  podRange: string
  serviceRange: string
}

/** Takes the first free number, and first of all removes what killed runs left. */
export async function claim(): Promise<Claim> {
  await removeLeftovers()
  for (let number = 1; number <= MOST; number++) {
    const claimed = claimOf(number)
    if (take(claimed.directory)) return claimed
  }
  throw new Error(`${MOST} clusters run on this machine: stop one`)
}

/** Its processes have ended, or are about to. */
export async function release({ name, directory }: Claim): Promise<void> {
  await removeCgroups(name)
  await rm(directory, { recursive: true, force: true })
}

/** The processes of a killed run ended with it, and with them its network and mounts; cgroups and files are left. */
async function removeLeftovers(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((each) => NAME.test(each))) {
    const directory = join(tmpdir(), name)
    if (isOwned(directory)) continue
    const aside = mkdtempSync(join(tmpdir(), 'carrel-leftover-'))
    try {
      // Of several that start at once, one gets it.
      renameSync(directory, join(aside, name))
      await removeCgroups(name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    } finally {
      await rm(aside, { recursive: true, force: true })
    }
  }
}

function claimOf(number: number): Claim {
  const name = `carrel-cluster-${number}`
  return {
    name,
    directory: join(tmpdir(), name),
    hostAddress: `198.18.${number}.1`,
    nodeAddress: `198.18.${number}.2`,
    podRange: `198.19.${number}.0/24`,
    serviceRange: `198.18.${number + 128}.0/24`,
  }
}

/** A folder cannot be renamed onto one that holds something: so the first wins, with its owner named from the start. */
function take(directory: string): boolean {
  const fresh = mkdtempSync(join(tmpdir(), 'carrel-claim-'))
  mkdirSync(join(fresh, 'logs'))
  writeFileSync(join(fresh, OWNER), `${process.pid} ${startOf(process.pid)}`)
  try {
    renameSync(fresh, directory)
    return true
  } catch {
    rmSync(fresh, { recursive: true })
    return false
  }
}

function isOwned(directory: string): boolean {
  try {
    const [pid, start] = readFileSync(join(directory, OWNER), 'utf8').split(' ')
    return startOf(Number(pid)) === start
  } catch {
    return false
  }
}

/** When a process began, in ticks: another that got the same number began later. */
function startOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!
}
