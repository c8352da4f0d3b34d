import { connect, createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'

/**
 * What becomes of bytes and of new connections. `stall`: connections are taken and stay open, and nothing is carried
 * either way, as behind a host that vanished. `refuse`: nothing listens.
 */
export type ProxyMode = { do: 'pass' } | { do: 'stall' } | { do: 'refuse' } | { do: 'delay'; ms: number }

/** A TCP relay on loopback that a test can spoil. It knows bytes only, so TLS goes through as it is. */
export class TcpProxy {
  readonly port: number
  /** Connections ever taken. */
  accepted = 0
  readonly #target: { host: string; port: number }
  readonly #pairs = new Set<Pair>()
  #server: Server | undefined
  #mode: ProxyMode = { do: 'pass' }

  private constructor(target: { host: string; port: number }, server: Server) {
    this.#target = target
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (socket) => this.#take(socket))
  }

  static async start(target: { host?: string; port: number }): Promise<TcpProxy> {
    return new TcpProxy({ host: '127.0.0.1', ...target }, await listening(0))
  }

  get open(): number {
    return this.#pairs.size
  }

  /** For connections that are open and those to come; what a stall has held back goes on its way then. */
  async set(mode: ProxyMode): Promise<void> {
    this.#mode = mode
    if (mode.do === 'refuse') await this.#close()
    else if (this.#server === undefined) {
      this.#server = await listening(this.port)
      this.#server.on('connection', (socket) => this.#take(socket))
    }
    for (const pair of this.#pairs) pair.flow(this.#mode)
  }

  /** Breaks open connections with a reset; `choose` picks among them, default all. Answers how many. */
  cut(choose: (count: number) => readonly number[] = (count) => Array.from({ length: count }, (_, index) => index)): number {
    const pairs = [...this.#pairs]
    const chosen = choose(pairs.length)
    for (const index of chosen) pairs[index]!.cut()
    return chosen.length
  }

  async stop(): Promise<void> {
    this.cut()
    await this.#close()
  }

  #take(near: Socket): void {
    this.accepted += 1
    const pair = new Pair(near, connect({ ...this.#target, allowHalfOpen: true }), () => this.#pairs.delete(pair))
    this.#pairs.add(pair)
    pair.flow(this.#mode)
  }

  async #close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = new Promise((resolve) => server.close(resolve))
    this.cut()
    await closed
  }
}

class Pair {
  readonly #near: Socket
  readonly #far: Socket
  #mode: ProxyMode = { do: 'pass' }
  readonly #ways: Way[]
  readonly #ended: () => void
  #isCut = false

  constructor(near: Socket, far: Socket, ended: () => void) {
    this.#ended = ended
    this.#near = near
    this.#far = far
    this.#ways = [new Way(near, far, () => this.#mode), new Way(far, near, () => this.#mode)]
    for (const socket of [near, far]) {
      socket.setNoDelay(true)
      socket.on('error', () => this.cut())
      socket.on('close', () => {
        // A host that vanished says nothing, not even that.
        if (this.#mode.do !== 'stall') this.cut()
      })
    }
  }

  flow(mode: ProxyMode): void {
    this.#mode = mode
    for (const way of this.#ways) way.flow()
    if (mode.do !== 'stall' && (this.#near.destroyed || this.#far.destroyed)) this.cut()
  }

  cut(): void {
    if (this.#isCut) return
    this.#isCut = true
    for (const socket of [this.#near, this.#far]) {
      // Reset after its end was sent, Node 24 never closes it, and the process spins instead of exiting.
      if (socket.connecting || socket.writableEnded) socket.destroy()
      else socket.resetAndDestroy()
    }
    this.#ended()
  }
}

/** Bytes of one direction, in order. */
class Way {
  readonly #from: Socket
  readonly #to: Socket
  readonly #mode: () => ProxyMode
  readonly #held: (Buffer | 'end')[] = []

  constructor(from: Socket, to: Socket, mode: () => ProxyMode) {
    this.#from = from
    this.#to = to
    this.#mode = mode
    from.on('data', (chunk: Buffer) => this.#carry(chunk))
    from.on('end', () => this.#carry('end'))
  }

  flow(): void {
    const mode = this.#mode()
    if (mode.do === 'stall') return
    for (const item of this.#held.splice(0)) this.#send(item)
  }

  #carry(item: Buffer | 'end'): void {
    const mode = this.#mode()
    if (mode.do === 'stall') this.#held.push(item)
    else if (mode.do === 'delay')
      setTimeout(() => (this.#mode().do === 'stall' ? this.#held.push(item) : this.#send(item)), mode.ms).unref()
    else this.#send(item)
  }

  #send(item: Buffer | 'end'): void {
    if (this.#to.destroyed) return
    if (item === 'end') this.#to.end()
    else if (!this.#to.write(item)) {
      this.#from.pause()
      this.#to.once('drain', () => this.#from.resume())
    }
  }
}

async function listening(port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port }, resolve)
  })
  return server
}
