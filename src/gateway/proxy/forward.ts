/** Adapter: moves one call's bytes between caller and agent. */
import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Dispatcher, Pool } from 'undici'
import { agentFailed } from '../errors.ts'
import { Refused } from '../upstream.ts'
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

/** What an agent still sends after a status that is not 2xx is read and thrown away up to here, so that the connection can be kept. */
const LONGEST_ERROR_BYTES = 64 * 1024
const LONGEST_ERROR_MS = 1_000

export interface Forwarded {
  /** The agent's. */
  status: number
  /** Of its body, passed on or not. */
  bytes: number
}

/** The agent went away before it answered. */
export class BrokenOff extends Error {}

/**
 * Sends the call and streams the answer as it comes, with back-pressure. Resolves when the agent
 * has finished. A caller that goes away does not stop the agent: the rest is read and thrown away. An agent that breaks
 * off after its head breaks the caller's stream visibly. Throws Refused, also as NotProven, BrokenOff, or 424 for a status that is
 * not 2xx.
 */
export function forward(pool: Pool, call: AgentCall, response: ServerResponse): Promise<Forwarded> {
  return new Promise((resolve, reject) => {
    const relay = new Relay(call, response, resolve, reject)
    pool.dispatch({ method: 'POST', path: call.path, headers: call.headers, body: call.body }, relay)
  })
}

class Relay implements Dispatcher.DispatchHandler {
  readonly #call: AgentCall
  readonly #response: ServerResponse
  readonly #resolve: (forwarded: Forwarded) => void
  readonly #reject: (error: Error) => void
  #status = 0
  #bytes = 0
  #errorTimer: NodeJS.Timeout | undefined
  #callerIsGone = false
  #controller: Dispatcher.DispatchController | undefined

  constructor(call: AgentCall, response: ServerResponse, resolve: (forwarded: Forwarded) => void, reject: (error: Error) => void) {
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

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200) return // interim; the answer follows
    this.#status = status
    if (!isSuccess(status)) {
      this.#errorTimer = setTimeout(() => controller.abort(new Error('the error answer does not end')), LONGEST_ERROR_MS)
      return
    }
    if (this.#callerIsGone) return
    this.#response.writeHead(status, toCaller(headers, this.#call))
    this.#response.flushHeaders()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (!isSuccess(this.#status)) {
      if (this.#bytes > LONGEST_ERROR_BYTES) controller.abort(new Error('the error answer is too long'))
      return
    }
    if (this.#callerIsGone) return
    if (!this.#response.write(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    if (!isSuccess(this.#status)) return this.#answeredError()
    this.#response.end()
    this.#resolve({ status: this.#status, bytes: this.#bytes })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error & { code?: string }): void {
    if (isSuccess(this.#status)) {
      this.#response.destroy() // no clean end: the caller must see that it is not whole
      return this.#resolve({ status: this.#status, bytes: this.#bytes })
    }
    if (this.#status !== 0) return this.#answeredError()
    if (error instanceof Refused) return this.#reject(error)
    // Without a connection the call has not begun: its pool went while it waited for one.
    const isBegun = this.#controller !== undefined
    this.#reject(isBegun ? new BrokenOff(error.message, { cause: error }) : new Refused(error.message, { cause: error }))
  }

  #answeredError(): void {
    clearTimeout(this.#errorTimer)
    this.#reject(agentFailed(`Received error (${this.#status}) from runtime. ${this.#call.logHint}`))
  }

  #onCallerClosed(): void {
    this.#callerIsGone = true
    this.#controller?.resume()
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}
