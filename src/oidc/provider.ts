/**
 * One OpenID provider: its discovery document and its keys, as they were a moment ago.
 *
 * A key that the provider withdraws is known as withdrawn within 8 s while it answers: keys are asked for again every 5 s
 * while good tokens come, and a good token after a pause waits for newer keys. While the provider is down, the keys that
 * it had go on serving, for an hour. What a stranger sends costs the provider one request in 30 s at most.
 */
import type { Clock, Timer } from '../env/clock.ts'
import { DocumentError } from './document-error.ts'
import type { FetchDocument } from './fetch-document.ts'
import { KeySet } from './key-set.ts'
import { issuerOf } from './protected-resource.ts'

const REFRESH_MS = 5_000
/** Keys asked for longer ago than this let no token through without a new look. */
const FRESH_MS = 7_000
/** Keys are kept fresh until this long after the last good token. */
const IN_USE_MS = 60_000
const DISCOVERY_MS = 300_000
/** Between two looks for a kid that is not there. */
const COOL_DOWN_MS = 30_000
/** How long keys serve that cannot be looked at anew. */
const LONGEST_STALE_MS = 3_600_000
/** While the last look failed this lately, nobody waits for another: a provider that hangs would hold every call up. */
const FAILED_LATELY_MS = 10_000
/** Document and keys together, so that a call which has to wait gets its answer within 3 s. */
const WHOLE_LOOK_MS = 2_500
/** After the first, second, … failure in a row nothing is asked for this long. */
const PAUSES_MS = [1_000, 2_000, 4_000, 5_000]

export interface ProviderEnv {
  clock: Clock
  fetchDocument: FetchDocument
}

interface Discovery {
  issuer: string
  jwksUri: string
  askedAtMs: number
}

interface Known {
  /** Exactly as the document has it. */
  issuer: string
  keys: KeySet
  /** Monotonic, before it was asked: what the provider changed later is not in it. */
  askedAtMs: number
  etag: string | undefined
}

export class Provider {
  readonly #env: ProviderEnv
  readonly #discoveryUrl: string
  readonly #base: string
  #discovery: Discovery | undefined
  #known: Known | undefined
  #failure: { error: DocumentError; atMs: number; inARow: number } | undefined
  #refreshing: Promise<void> | undefined
  #missedAtMs = -Infinity
  #usedAtMs = -Infinity
  #timer: Timer | undefined
  #closed = false

  constructor(env: ProviderEnv, discoveryUrl: string) {
    this.#env = env
    this.#discoveryUrl = discoveryUrl
    this.#base = issuerOf({ discoveryUrl })
  }

  /** To judge a token with the key `kid`. Throws DocumentError when there are no keys and the provider cannot be asked. */
  async knownFor(kid: string): Promise<{ issuer: string; keys: KeySet }> {
    if (this.#known === undefined || this.#ageMs() > LONGEST_STALE_MS) {
      await this.#ask()
      return this.#known!
    }
    const nowMs = this.#env.clock.monotonic()
    if (!this.#known.keys.has(kid) && nowMs - this.#missedAtMs >= COOL_DOWN_MS) {
      this.#missedAtMs = nowMs
      await this.#ask().catch(() => {}) // what there is goes on serving
    }
    return this.#known
  }

  /** Whether that key of a token found good is still the provider's, and nobody need be asked. Counts as use. */
  vouchesFor(kid: string, print: string): boolean {
    this.#use()
    return this.#isFresh() && this.#isPublished(kid, print)
  }

  /** The same for keys that may be too old: waits for a new look. Throws DocumentError when they are older than an hour. */
  async confirms(kid: string, print: string): Promise<boolean> {
    this.#use()
    if (!this.#isFresh()) await this.#ask().catch(() => {}) // what there is goes on serving
    if (this.#ageMs() > LONGEST_STALE_MS) throw this.#failure?.error ?? new DocumentError('Unreachable')
    return this.#isPublished(kid, print)
  }

  /** A look at document and keys, now, also in the pause after a failure. Throws DocumentError. */
  async check(): Promise<void> {
    await this.#refreshing?.catch(() => {})
    this.#discovery = undefined
    await this.#look()
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #isPublished(kid: string, print: string): boolean {
    return this.#known?.keys.printOf(kid) === print
  }

  #isFresh(): boolean {
    const failedLately = this.#failure !== undefined && this.#env.clock.monotonic() - this.#failure.atMs <= FAILED_LATELY_MS
    return this.#ageMs() <= (failedLately ? LONGEST_STALE_MS : FRESH_MS)
  }

  #ageMs(): number {
    return this.#env.clock.monotonic() - (this.#known?.askedAtMs ?? -Infinity)
  }

  /** False in the pause after a failure. */
  #mayAsk(): boolean {
    if (this.#failure === undefined) return true
    const { atMs, inARow } = this.#failure
    return this.#env.clock.monotonic() - atMs >= PAUSES_MS[Math.min(inARow, PAUSES_MS.length) - 1]!
  }

  #use(): void {
    this.#usedAtMs = this.#env.clock.monotonic()
    if (this.#timer === undefined && this.#refreshing === undefined) this.#planRefresh()
  }

  /** From the beginning of the last look, so that a slow provider is not asked less often. */
  #planRefresh(): void {
    if (this.#closed) return
    const { clock } = this.#env
    const askedAtMs = Math.max(this.#known?.askedAtMs ?? -Infinity, this.#failure?.atMs ?? -Infinity, clock.monotonic() - REFRESH_MS)
    this.#timer?.cancel()
    this.#timer = clock.after(askedAtMs + REFRESH_MS - clock.monotonic(), () => {
      this.#timer = undefined
      this.#ask().catch(() => {}) // asked again after the pause
    })
  }

  /** A look, but for the pause after a failure: then the failure. */
  #ask(): Promise<void> {
    return this.#refreshing === undefined && !this.#mayAsk() ? Promise.reject(this.#failure!.error) : this.#look()
  }

  /** One at a time, which all who wait share. */
  #look(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined
      if (this.#env.clock.monotonic() - this.#usedAtMs <= IN_USE_MS) this.#planRefresh()
    })
    return this.#refreshing
  }

  async #refresh(): Promise<void> {
    const askedAtMs = this.#env.clock.monotonic()
    try {
      const { issuer, jwksUri } = await this.#discover(askedAtMs)
      const withinMs = askedAtMs + WHOLE_LOOK_MS - this.#env.clock.monotonic()
      const fetched = await this.#env.fetchDocument({ url: jwksUri, issuer: this.#base, etag: this.#known?.etag, withinMs })
      if (fetched.changed) {
        const keys = new KeySet(fetched.document)
        const isSame = keys.digest === this.#known?.keys.digest
        this.#known = { issuer, keys: isSame ? this.#known!.keys : keys, askedAtMs, etag: fetched.etag }
      } else {
        this.#known = { ...this.#known!, issuer, askedAtMs }
      }
      this.#failure = undefined
    } catch (error) {
      const found = error instanceof DocumentError ? error : new DocumentError('Unreachable', { cause: error })
      this.#discovery = undefined // the keys may have moved
      this.#failure = { error: found, atMs: this.#env.clock.monotonic(), inARow: (this.#failure?.inARow ?? 0) + 1 }
      throw found
    }
  }

  async #discover(nowMs: number): Promise<Discovery> {
    if (this.#discovery && nowMs - this.#discovery.askedAtMs < DISCOVERY_MS) return this.#discovery
    const fetched = await this.#env.fetchDocument({ url: this.#discoveryUrl, issuer: this.#base, withinMs: WHOLE_LOOK_MS })
    const { issuer, jwks_uri: jwksUri } = fetched.changed ? fetched.document : {}
    // OpenID Connect Discovery 4.1: a slash at the issuer's end is taken away before the well-known path is put there.
    if (issuer !== this.#base && issuer !== `${this.#base}/`) throw new DocumentError('IssuerMismatch')
    if (typeof jwksUri !== 'string') throw new DocumentError('JwksInvalid')
    if (jwksUri !== this.#discovery?.jwksUri && this.#known) this.#known = { ...this.#known, etag: undefined }
    this.#discovery = { issuer, jwksUri, askedAtMs: nowMs }
    return this.#discovery
  }
}
