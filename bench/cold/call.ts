/** Adapter: calls whose time counts, on connections of their own. */
import { setTimeout as wait } from 'node:timers/promises'
import { agentRequest, signedRequests, type Session } from '../gateway/requests.ts'
import { Exchange } from '../gateway/exchange.ts'
import { quantile } from '../gateway/quantile.ts'
import type { ColdBed } from './bed.ts'

export const AGENT_PORT = 8080
const PAYLOAD = '{"do":"recall"}'
const DIAL_EVERY_MS = 2
const ANSWER_WITHIN_MS = 60_000

/** One call through the gateway; it opens the session when there is none. */
export async function callByGateway({ gateway, signing }: ColdBed, session: Session): Promise<void> {
  const exchange = await Exchange.open(gateway.url.hostname, Number(gateway.url.port))
  try {
    expectOk(await exchange.send(gatewayRequests(gateway.url.host, session, signing)[0]!))
  } finally {
    exchange.close()
  }
}

/** Dials until the agent listens, as nobody tells when it does, and asks once. */
export async function callAsSoonAsItListens(address: string, session: Session): Promise<void> {
  const deadlineMs = performance.now() + ANSWER_WITHIN_MS
  for (;;) {
    try {
      const exchange = await Exchange.open(address, AGENT_PORT)
      expectOk(await exchange.send(directRequest(address, session)))
      return exchange.close()
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
      await wait(DIAL_EVERY_MS)
    }
  }
}

/** Median of so many calls, one after the other on one connection, in ms. */
export async function warmMedianMs(host: string, port: number, requests: readonly Buffer[], count: number): Promise<number> {
  const exchange = await Exchange.open(host, port)
  const times: number[] = []
  for (let call = 0; call < count; call += 1) {
    const askedAtMs = performance.now()
    expectOk(await exchange.send(requests[call % requests.length]!))
    times.push(performance.now() - askedAtMs)
  }
  exchange.close()
  return quantile(times, 0.5)
}

export const gatewayRequests = (host: string, session: Session, signing: ColdBed['signing']): Buffer[] =>
  signedRequests(host, session, signing, PAYLOAD).map((text) => Buffer.from(text, 'base64'))

export const directRequest = (address: string, session: Session): Buffer =>
  Buffer.from(agentRequest(`${address}:${AGENT_PORT}`, session, PAYLOAD), 'base64')

/** Numbers of calls that fail would look good. */
function expectOk({ status }: { status: number }): void {
  if (status !== 200) throw new Error(`every call must be answered with 200, and one was answered with ${status}`)
}
