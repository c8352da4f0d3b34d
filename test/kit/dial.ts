import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'

const GIVEN_UP_AFTER_MS = 2_000

/** Every address of every real interface of this machine, IPv4 and IPv6. */
export function realAddresses(): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? []).filter(({ internal }) => !internal).map(({ address, scopeid }) => (scopeid ? `${address}%${name}` : address)),
  )
}

/** Whether something accepts a connection there. */
export function isReached(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: GIVEN_UP_AFTER_MS })
    const settle = (reached: boolean): void => {
      socket.destroy()
      resolve(reached)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
    socket.once('timeout', () => settle(false))
  })
}

/** Those of the machine's real addresses on which one of the ports is reached, as `address port`. */
export async function reachedFromOutside(ports: readonly number[]): Promise<string[]> {
  const dialled = realAddresses().flatMap((address) =>
    ports.map(async (port) => ((await isReached(address, port)) ? [`${address} ${port}`] : [])),
  )
  return (await Promise.all(dialled)).flat()
}
