/** Adapter: moves one call's bytes between caller and agent. */
import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Dispatcher, Pool } from 'undici'
import { agentFailed } from '../errors.ts'
import { toCaller } from './agent-headers.ts'

export interface AgentCall {
  path: string
  headers: Record<string, string>
  body: Readable | Buffer
  sessionId: string
  requestId: string
  /** What to tell the caller about the agent's log. */
  logHint: string
}

/** The connection was refused: no byte of the call has reached any agent. */
export class Refused extends Error {}

/** The agent went away before it answered. */
export class BrokenOff extends Error {}

/**
 * Sends the call and streams the answer as it comes, with back-pressure. Resolves with the agent's status when the agent
 * has finished. A caller that goes away does not stop the agent: the rest is read and thrown away. An agent that breaks
 * off after its head breaks the caller's stream visibly. Throws Refused, BrokenOff, or 424 for a status that is not 2xx.
 */
export function forward(pool: Pool, call: AgentCall, response: ServerResponse): Promise<number> {
  return new Promise((resolve, reject) => {
    const relay = new Relay(call, response, resolve, reject)
    pool.dispatch({ method: 'POST', path: call.path, headers: call.headers, body: call.body }, relay)
  })
}

class Relay implements Dispatcher.DispatchHandler {
  readonly #call: AgentCall
  readonly #response: ServerResponse
  readonly #resolve: (status: number) => void
  readonly #reject: (error: Error) => void
  #status = 0
  #callerIsGone = false
  #controller: Dispatcher.DispatchController | undefined

  constructor(call: AgentCall, response: ServerResponse, resolve: (status: number) => void, reject: (error: Error) => void) {
    this.#call = call
    this.#response = response
    this.#resolve = resolve
    this.#reject = reject
    this.#callerIsGone = response.destroyed
    response.once('close', () => this.#onCallerClosed())
    response.on('drain', () => this.#controller?.resume())
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    this.#status = status
    if (!isSuccess(status) || this.#callerIsGone) return
    this.#response.writeHead(status, toCaller(headers, this.#call))
    this.#response.flushHeaders()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!isSuccess(this.#status) || this.#callerIsGone) return
    if (!this.#response.write(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    if (isSuccess(this.#status)) {
      this.#response.end()
      return this.#resolve(this.#status)
    }
    this.#reject(agentFailed(`Received error (${this.#status}) from runtime. ${this.#call.logHint}`))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error & { code?: string }): void {
    if (isSuccess(this.#status)) {
      this.#response.destroy()                              // no clean end: the caller must see that it is not whole
      return this.#resolve(this.#status)
    }
    const refused = error.code === 'ECONNREFUSED' || error.code === 'UND_ERR_CONNECT_TIMEOUT' || error.code === 'EHOSTUNREACH'
    this.#reject(refused ? new Refused(error.message, { cause: error }) : new BrokenOff(error.message, { cause: error }))
  }

  #onCallerClosed(): void {
    this.#callerIsGone = true
    this.#controller?.resume()
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}
