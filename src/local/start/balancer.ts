/** Adapter: one port in front of several gateways, connection by connection, as a Service is in a cluster. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Balancer {
  port: number
  close(): Promise<void>
}

/** Takes turns among the ports of 127.0.0.1 that `backends` names at that moment; one that refuses is passed over. */
export async function balance(port: number, backends: () => readonly number[]): Promise<Balancer> {
  const sockets = new Set<Socket>()
  let turn = 0
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    track(client)
    const ports = backends()
    turn += 1
    const order = ports.map((_, index) => ports[(turn + index) % ports.length]!)
    join(client, order)
  })

  function track(socket: Socket): void {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.once('close', () => sockets.delete(socket))
  }

  function join(client: Socket, [port, ...others]: number[]): void {
    if (port === undefined) return void client.destroy()
    const backend = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    track(backend)
    const refused = (): void => join(client, others)
    backend.once('error', refused)
    backend.once('connect', () => {
      backend.off('error', refused)
      // What breaks on one side is seen on the other as what it is: broken off, not ended.
      backend.once('error', () => client.resetAndDestroy())
      client.once('error', () => backend.resetAndDestroy())
      client.once('close', () => backend.destroy())
      backend.once('close', (hadError) => (hadError ? client.destroy() : undefined))
      client.pipe(backend).pipe(client)
    })
  }

  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
