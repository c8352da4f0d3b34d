/** Adapter: says who holds a busy port, from /proc. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'

/** Undefined when the loopback port is free; otherwise a sentence about who holds it. */
export async function holderOfPort(port: number): Promise<string | undefined> {
  if (port === 0) return undefined
  const busy = await new Promise<boolean>((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(true) : reject(error)))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(false)))
  })
  return busy ? describeHolder(port) : undefined
}

function describeHolder(port: number): string {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningInodes(table, port)))
  for (const pid of readable(() => readdirSync('/proc')).filter((name) => /^\d+$/.test(name))) {
    const holds = readable(() => readdirSync(`/proc/${pid}/fd`)).some((fd) => {
      const target = readable(() => [readlinkSync(`/proc/${pid}/fd/${fd}`)])[0]
      return target !== undefined && inodes.has(target.slice('socket:['.length, -1)) && target.startsWith('socket:[')
    })
    if (!holds) continue
    const command = readable(() => [readFileSync(`/proc/${pid}/cmdline`, 'utf8')])[0]
      ?.split('\0')
      .join(' ')
      .trim()
    return `process ${pid} (${command?.slice(0, 120) || 'unknown'})`
  }
  return 'a process that this user may not see'
}

function listeningInodes(table: string, port: number): string[] {
  const LISTEN = '0A'
  return readable(() => readFileSync(table, 'utf8').split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTEN && Number.parseInt(fields[1]?.split(':')[1] ?? '', 16) === port)
    .map((fields) => fields[9]!)
}

/** /proc entries vanish and may be forbidden: then they say nothing. */
function readable<Item>(read: () => Item[]): Item[] {
  try {
    return read()
  } catch {
    return []
  }
}
