/** A pod, played: an agent that counts every byte that reaches it, and a meter, at an address of 127.0.0.0/8 of its own. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { AGENT_PORT } from '../../src/crds/agent-session.ts'
import type { UpstreamPod } from '../../src/gateway/upstream.ts'
import { METER_PORT, sessionMeterKey } from '../../src/metering/access.ts'
import { answerOf } from '../../src/metering/sidecar/answer.ts'

/** The installation's. */
export const SECRET = 'a secret of thirty-two characters, at least'

export type MeterAnswer = (request: IncomingMessage, response: ServerResponse) => void

let addresses = 0
/** Never given twice in one process; other processes' tests take others. */
export function freshAddress(): string {
  addresses += 1
  return `127.${100 + (process.pid & 63)}.${(process.pid >> 6) & 255}.${addresses}`
}

export function upstreamPod(uid: string, { sessionUID = `session-of-${uid}`, address = freshAddress() } = {}): UpstreamPod {
  return { uid, sessionUID, address, port: AGENT_PORT }
}

/** What the meter of that pod answers, by the shipped code. */
export function meterOf({ uid, sessionUID }: Pick<UpstreamPod, 'uid' | 'sessionUID'>, secret = SECRET): MeterAnswer {
  const usage = { notVisible: 'played' }
  const agent = { status: 'Unknown', since: '2026-11-24T00:00:00Z' } as const
  const view = { key: sessionMeterKey(secret, sessionUID), podUID: uid, usage: () => usage, agent: () => agent }
  return ({ method = '', url = '' }, response) => {
    const { status, body } = answerOf({ method, target: url, authorization: undefined, nonce: undefined }, view)
    response.writeHead(status, { connection: 'close' }).end(body)
  }
}

export class PlayedPod {
  readonly pod: UpstreamPod
  /** Targets of the questions that reached its meter, in order. */
  readonly asked: string[] = []
  /** Most questions that were open at once. */
  mostAsked = 0
  meter: MeterAnswer
  agent: (request: IncomingMessage, response: ServerResponse) => void
  readonly #sockets = new Set<Socket>()
  readonly #strangers = new Set<Socket>()
  readonly #servers: Server[] = []

  constructor(pod: UpstreamPod, meter: MeterAnswer = meterOf(pod)) {
    this.pod = pod
    this.meter = meter
    this.agent = (request, response) => void request.resume().on('end', () => response.end(`"${pod.uid}"`))
  }

  /** Ends with the test. */
  static async start(t: TestContext, pod: UpstreamPod, meter: MeterAnswer | 'none' = meterOf(pod)): Promise<PlayedPod> {
    const played = new PlayedPod(pod, meter === 'none' ? meterOf(pod) : meter)
    t.after(() => played.end())
    await played.listenAsAgent()
    if (meter !== 'none') await played.listenAsMeter()
    return played
  }

  async listenAsAgent(): Promise<void> {
    const server = createHttpServer((request, response) => this.agent(request, response))
    server.on('connection', (socket: Socket) => this.#sockets.add(socket))
    await this.#listen(server, this.pod.port)
  }

  async listenAsMeter(): Promise<void> {
    let open = 0
    const server = createHttpServer((request, response) => {
      this.asked.push(request.url!)
      open += 1
      this.mostAsked = Math.max(this.mostAsked, open)
      response.once('close', () => (open -= 1))
      this.meter(request, response)
    })
    await this.#listen(server, METER_PORT)
  }

  /** Instead of a meter: whatever is done to the connection. */
  async listenRaw(onConnection: (socket: Socket) => void): Promise<void> {
    await this.#listen(
      createServer((socket) => {
        this.#strangers.add(socket)
        onConnection(socket.on('error', () => {}).resume())
      }),
      METER_PORT,
    )
  }

  /** Connections that its agent took. */
  get connections(): number {
    return this.#sockets.size
  }

  /** Every byte that its agent was sent, whether it makes a request or not. */
  get bytes(): number {
    return [...this.#sockets].reduce((sum, { bytesRead }) => sum + bytesRead, 0)
  }

  isOver = false

  /** As when the pod dies: its connections break, its ports are closed. */
  async end(): Promise<void> {
    this.isOver = true
    const closed = this.#servers.splice(0).map((server) => {
      if ('closeAllConnections' in server) (server as ReturnType<typeof createHttpServer>).closeAllConnections()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    })
    for (const socket of [...this.#sockets, ...this.#strangers]) socket.resetAndDestroy()
    await Promise.all(closed)
  }

  async #listen(server: Server, port: number): Promise<void> {
    this.#servers.push(server)
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, this.pod.address, resolve))
  }
}
