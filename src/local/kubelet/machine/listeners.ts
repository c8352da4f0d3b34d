/** Adapter: which sockets listen, and whose they are. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { Violation } from '../process-host.ts'
import { isOwnLoopback, parseSockets, type ListeningSocket } from './socket-table.ts'

/** A socket that belonged to no pod in this many looks in a row is another program's for good. */
const LOOKS_UNTIL_FOREIGN = 10

/** Off the event loop: the kernel walks a hash table that grows with the machine's memory, milliseconds each time. */
export async function listeningSockets(): Promise<ListeningSocket[]> {
  const tables = await Promise.all((['tcp', 'tcp6', 'udp', 'udp6'] as const).map(async (name) => parseSockets(await readTable(name), name)))
  return tables.flat()
}

/** IPv6 may be switched off: then its tables do not exist. */
function readTable(name: string): Promise<string> {
  return readFile(`/proc/net/${name}`, 'utf8').catch(() => '')
}

/** Whether a bind to it would be refused, by a holder of this address or of every address. */
export function isTaken(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(false)))
  })
}

/**
 * Finds agents that can be reached where they should not be. Reading the socket tables is cheap and done often; looking
 * through processes' descriptors is not, and is done only while a socket is there of which it is not known whose it is.
 */
export class ListenerWatch {
  readonly #looks = new Map<string, number>()
  readonly #ephemeralFrom = firstEphemeralPort()

  async find(pods: () => Map<string, number[]>, addressOf: (podUID: string) => string | undefined): Promise<Violation[]> {
    const sockets = await listeningSockets()
    const suspects = sockets.filter((socket) => !isOwnLoopback(socket.address, undefined) && !this.#isUdpClient(socket))
    this.#forgetClosed(suspects)
    const unknown = suspects.filter(({ inode }) => (this.#looks.get(inode) ?? 0) < LOOKS_UNTIL_FOREIGN)
    if (unknown.length === 0) return []

    const owners = ownersOf(unknown, pods())
    const violations: Violation[] = []
    for (const { inode, protocol, address, port } of unknown) {
      const owner = owners.get(inode)
      if (owner === undefined) this.#looks.set(inode, (this.#looks.get(inode) ?? 0) + 1)
      else if (!isOwnLoopback(address, addressOf(owner.podUID))) violations.push({ ...owner, protocol, address, port })
    }
    return violations
  }

  /** The kernel gives such a port to whoever sends a datagram without asking for one. */
  #isUdpClient({ protocol, port }: ListeningSocket): boolean {
    return protocol === 'udp' && port >= this.#ephemeralFrom
  }

  /** Inode numbers come again. */
  #forgetClosed(open: readonly ListeningSocket[]): void {
    const inodes = new Set(open.map(({ inode }) => inode))
    for (const inode of this.#looks.keys()) if (!inodes.has(inode)) this.#looks.delete(inode)
  }
}

function firstEphemeralPort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/)[0])
  } catch {
    return 32_768
  }
}

function ownersOf(sockets: readonly ListeningSocket[], pods: Map<string, number[]>): Map<string, { podUID: string; pid: number }> {
  const wanted = new Set(sockets.map(({ inode }) => inode))
  const owners = new Map<string, { podUID: string; pid: number }>()
  for (const [podUID, pids] of pods) {
    for (const pid of pids) for (const inode of socketsOf(pid)) if (wanted.has(inode)) owners.set(inode, { podUID, pid })
  }
  return owners
}

/** Inodes of the sockets that a process holds. */
function socketsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => socketOf(`/proc/${pid}/fd/${fd}`))
  } catch {
    return []
  }
}

function socketOf(descriptor: string): string[] {
  try {
    const target = readlinkSync(descriptor)
    return target.startsWith('socket:[') ? [target.slice('socket:['.length, -1)] : []
  } catch {
    return []
  }
}
