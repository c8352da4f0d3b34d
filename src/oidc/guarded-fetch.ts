/**
 * Adapter: HTTPS GET of documents whose addresses tenants write (security rule 9). No request leaves for an address that
 * is not public and not trusted: the connection goes to the very addresses that were checked, so that a name which
 * resolves anew between check and connect gains nothing. No redirects, no proxy of the environment, 256 KiB, and one deadline for all of it.
 */
import { Resolver } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { isIP, type LookupFunction } from 'node:net'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { Agent, request as send, type Dispatcher } from 'undici'
import { inNetworks, isPublic } from './addresses.ts'
import { DocumentError } from './document-error.ts'
import type { AskedDocument, FetchDocument, FetchedDocument } from './fetch-document.ts'
import type { OidcSettings } from './settings.ts'

const CONNECT_TIMEOUT_MS = 2_500
const LONGEST_DOCUMENT_BYTES = 256 * 1024
/** Longer than the pause between two refreshes of a key set, so that they share a connection. */
const KEEP_ALIVE_MS = 15_000
const RESOLVER = { timeout: 1_000, tries: 2 }

export interface GuardedFetchParts {
  /** All addresses of a name. The real one asks the name servers, not the hosts file, and holds no thread while it waits. */
  resolve?: (name: string) => Promise<string[]>
  /** Ports of issuers that are not trusted. */
  ports?: readonly number[]
}

/** `fetchDocument` is the port of `Authorizers`; `close` ends the connections. Throws when the CA file cannot be read. */
export function guardedFetch(
  { oidcTrustedIssuers, oidcTrustedCidrs, oidcCaFile }: OidcSettings,
  { resolve = askNameServers, ports = [443] }: GuardedFetchParts = {},
): { fetchDocument: FetchDocument; close(): Promise<void> } {
  const trustedIssuers = new Set(oidcTrustedIssuers.map((issuer) => issuer.replace(/\/$/, '')))
  const isTrusted = inNetworks(oidcTrustedCidrs)
  const mayDial = (address: string): boolean => isPublic(address) || isTrusted(address)
  const secureContext = trustIn(oidcCaFile)
  // Two pools: a connection to a trusted issuer's private address must not serve another issuer of the same host.
  const agents = { trusted: agentOf(secureContext), guarded: agentOf(secureContext, checkedLookup(resolve, mayDial)) }

  async function fetchDocument({ url, issuer, etag, withinMs }: AskedDocument): Promise<FetchedDocument> {
    const target = URL.parse(url)
    if (target?.protocol !== 'https:' || target.username !== '' || target.password !== '') throw new DocumentError('NotHttps')
    const trusted = trustedIssuers.has(issuer) && URL.parse(issuer)?.origin === target.origin
    if (!trusted) {
      if (!ports.includes(Number(target.port || 443))) throw new DocumentError('PortNotAllowed')
      // An address needs no lookup, in whatever form it was written: URL has made it the usual one.
      const literal = target.hostname.replace(/^\[|\]$/g, '')
      if (isIP(literal) !== 0 && !mayDial(literal)) throw new DocumentError('AddressNotAllowed')
    }
    return inTime(withinMs, (signal) => get(target, { dispatcher: trusted ? agents.trusted : agents.guarded, etag, signal }))
  }

  return {
    fetchDocument,
    close: async () => {
      await Promise.all([agents.trusted.destroy(), agents.guarded.destroy()])
    },
  }
}

/** Made once, when it is first needed: a hundred and more authorities take their time. */
function trustIn(caFile: string | undefined): () => SecureContext {
  const more = caFile === undefined ? [] : [readFileSync(caFile, 'utf8')]
  let context: SecureContext | undefined
  return () => (context ??= createSecureContext({ ca: [...getCACertificates('default'), ...more] }))
}

function agentOf(secureContext: () => SecureContext, lookup?: LookupFunction): Agent {
  const connect = { timeout: CONNECT_TIMEOUT_MS, ...(lookup ? { lookup } : {}) }
  // Read at each connect, so only then is it made.
  Object.defineProperty(connect, 'secureContext', { enumerable: true, get: secureContext })
  return new Agent({ connect, allowH2: false, connections: 4, pipelining: 1, keepAliveTimeout: KEEP_ALIVE_MS })
}

/** Answers the addresses that were checked, for the socket to connect to. One that may not be dialled spoils all. */
function checkedLookup(resolve: (name: string) => Promise<string[]>, mayDial: (address: string) => boolean): LookupFunction {
  return (name, options, answer) => {
    void resolve(name).then(
      (addresses) => {
        const all = addresses.map((address) => ({ address, family: isIP(address) }))
        const [first] = all
        if (first === undefined) answer(new DocumentError('Unreachable'), '', 0)
        else if (!addresses.every(mayDial)) answer(new DocumentError('AddressNotAllowed'), '', 0)
        else if (options.all === true) answer(null, all)
        else answer(null, first.address, first.family)
      },
      (error: unknown) => answer(new DocumentError('Unreachable', { cause: error }), '', 0),
    )
  }
}

async function askNameServers(name: string): Promise<string[]> {
  const resolver = new Resolver(RESOLVER)
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
}

async function inTime(withinMs: number, run: (signal: AbortSignal) => Promise<FetchedDocument>): Promise<FetchedDocument> {
  const late = new AbortController()
  // Beside the signal: a socket that still connects takes no notice of it.
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => {
      late.abort()
      reject(new DocumentError('TooSlow'))
    },
    Math.max(0, withinMs),
  )
  const running = run(late.signal)
  try {
    return await Promise.race([running, promise])
  } catch (error) {
    running.catch(() => {})
    throw documentErrorIn(error) ?? new DocumentError('Unreachable', { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

async function get(
  target: URL,
  { dispatcher, etag, signal }: { dispatcher: Dispatcher; etag: string | undefined; signal: AbortSignal },
): Promise<FetchedDocument> {
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'carrel',
    ...(etag === undefined ? {} : { 'if-none-match': etag }),
  }
  const { statusCode, headers: answered, body } = await send(target, { dispatcher, headers, signal })
  body.on('error', () => {}) // once it is not read to its end
  try {
    if (statusCode === 304 && etag !== undefined) return { changed: false }
    if (statusCode >= 300 && statusCode < 400) throw new DocumentError('Redirected')
    if (statusCode !== 200) throw new DocumentError('BadStatus')
    const document = parsed(await readAll(body))
    const newTag = answered['etag']
    return { changed: true, document, ...(typeof newTag === 'string' ? { etag: newTag } : {}) }
  } finally {
    if (!body.readableEnded) body.destroy()
  }
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.byteLength
    if (length > LONGEST_DOCUMENT_BYTES) throw new DocumentError('TooLarge')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(text: string): Record<string, unknown> {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw new DocumentError('NotJson', { cause: error })
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw new DocumentError('NotJson')
  return document as Record<string, unknown>
}

/** undici and net hand a lookup's error on as it is, as a cause, or as one of several. */
function documentErrorIn(error: unknown): DocumentError | undefined {
  if (error instanceof DocumentError) return error
  if (!(error instanceof Error)) return undefined
  const inner: unknown[] = error instanceof AggregateError ? error.errors : []
  for (const one of [error.cause, ...inner]) {
    const found = documentErrorIn(one)
    if (found) return found
  }
  return undefined
}
