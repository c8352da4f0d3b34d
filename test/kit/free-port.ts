import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below what systems hand out to outgoing connections and to port 0 (from 32768 on, Linux's default), above what services use. */
const LOWEST = 15_000
const HIGHEST = 32_000

/**
 * A TCP port that nothing listens on, on any address. The system never gives one of this range to a connection, so the
 * port is still free when a server that was told to take it has started.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 50; tries += 1) {
    const port = randomInt(LOWEST, HIGHEST)
    if (await isFree(port)) return port
  }
  throw new Error(`no free port was found between ${LOWEST} and ${HIGHEST}`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const listening = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '::', () => resolve(true))
  })
  if (listening) await new Promise((resolve) => server.close(resolve))
  return listening
}
