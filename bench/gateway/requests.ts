/** Adapter: whole requests as bytes, made before the time that is measured. In base64, as messages between processes are JSON. */
import { signed } from '../../src/sigv4/sign.ts'
import { SESSION_HEADER, invocationPath } from '../../test/kit/raw-gateway.ts'

/** Each with a signature of its own, as callers send them; then from the beginning again. */
const SIGNATURES = 64

export interface Session {
  arn: string
  sessionId: string
}

export interface Signing {
  accessKeyId: string
  secretAccessKey: string
  region: string
}

/** Of the same call, signed within the last minute: good for some minutes more. */
export function signedRequests(host: string, { arn, sessionId }: Session, { region, ...key }: Signing, payload: string): string[] {
  const path = invocationPath(arn)
  const request = { method: 'POST', url: new URL(`http://${host}${path}`), headers: headersOf(sessionId), body: payload }
  const nowMs = Date.now()
  return Array.from({ length: SIGNATURES }, (_, secondsAgo) =>
    wire(path, signed(request, key, { region, nowMs: nowMs - secondsAgo * 1_000 }), payload),
  )
}

export function bearerRequest(host: string, { arn, sessionId }: Session, token: string, payload: string): string {
  return wire(invocationPath(arn), { ...headersOf(sessionId), host, authorization: `Bearer ${token}` }, payload)
}

/** As the gateway sends it on to the agent. */
export function agentRequest(host: string, { sessionId }: Session, payload: string): string {
  return wire('/invocations', { ...headersOf(sessionId), host }, payload)
}

function headersOf(sessionId: string): Record<string, string> {
  return { 'content-type': 'application/json', [SESSION_HEADER]: sessionId }
}

function wire(path: string, headers: Record<string, string>, body: string): string {
  const all = { ...headers, 'content-length': String(Buffer.byteLength(body)) }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${head.join('')}\r\n${body}`).toString('base64')
}
