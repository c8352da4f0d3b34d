import { hash } from 'node:crypto'
import type { CustomJWT } from '../crds/authorizer.ts'
import { refusalBy } from './conditions.ts'
import { DocumentError, type DocumentFault } from './document-error.ts'
import { Provider, type ProviderEnv } from './provider.ts'
import { LONGEST_TOKEN_BYTES, readKid, verifyToken } from './verify.ts'
import type { Permission, Verdict } from './verdict.ts'

/** The least recently used go first. */
const MOST_PROVIDERS = 1_000
const MOST_PERMISSIONS = 10_000

interface Kept {
  permission: Permission
  kid: string
  /** Of the key that signed it: another key under the same kid is another key. */
  print: string
}

/**
 * Judges bearer tokens by `spec.authorizer.customJWT` (contract 3.3). A token found good is judged again when it expires or
 * its key is withdrawn, and costs a hash and a look-up until then; one that is not is judged each time.
 */
export class Authorizers {
  readonly #env: ProviderEnv
  readonly #providers = new Map<string, Provider>()
  readonly #kept = new Map<string, Kept>()
  readonly #identities = new WeakMap<CustomJWT, string>()

  constructor(env: ProviderEnv) {
    this.#env = env
  }

  async authorize(customJWT: CustomJWT, token: string): Promise<Verdict> {
    if (token.length > LONGEST_TOKEN_BYTES) return { allowed: false, error: 'invalid_token', description: 'the token is too long' }
    const provider = this.#providerOf(customJWT)
    const key = `${digestOf(token)}${this.#identityOf(customJWT)}`
    const kept = this.#take(key)
    if (kept && provider.vouchesFor(kept.kid, kept.print)) {
      this.#keep(key, kept)
      return kept.permission
    }
    try {
      if (kept && (await provider.confirms(kept.kid, kept.print))) {
        this.#keep(key, kept)
        return kept.permission
      }
      const judged = await this.#judge(provider, customJWT, token)
      if (!('permission' in judged)) return judged
      this.#keep(key, judged)
      return judged.permission
    } catch (error) {
      if (error instanceof DocumentError) return { unavailable: true, code: error.code }
      throw error
    }
  }

  /** Whether the provider can be asked, now: for a runtime's condition. */
  async checkProvider(customJWT: CustomJWT): Promise<{ ok: true } | { ok: false; code: DocumentFault; message: string }> {
    try {
      await this.#providerOf(customJWT).check()
      return { ok: true }
    } catch (error) {
      if (error instanceof DocumentError) return { ok: false, code: error.code, message: error.message }
      throw error
    }
  }

  /** Nobody is asked any more. */
  close(): void {
    for (const provider of this.#providers.values()) provider.close()
    this.#providers.clear()
    this.#kept.clear()
  }

  async #judge(provider: Provider, customJWT: CustomJWT, token: string): Promise<Kept | Exclude<Verdict, Permission>> {
    const kid = readKid(token)
    if (typeof kid !== 'string') return kid
    const { issuer, keys } = await provider.knownFor(kid)
    const verified = await verifyToken(token, { issuer, keys, nowMs: this.#env.clock.now() })
    if ('allowed' in verified) return verified
    const refusal = refusalBy(customJWT, verified.claims)
    if (refusal) return refusal
    const print = keys.printOf(kid)!
    if (!(await provider.confirms(kid, print))) {
      return { allowed: false, error: 'invalid_token', description: 'the token is signed with a key that is not known' }
    }
    const { subject, expiresAtMs } = verified
    return { permission: { allowed: true, issuer, subject, expiresAtMs }, kid, print }
  }

  #providerOf({ discoveryUrl }: CustomJWT): Provider {
    const provider = this.#providers.get(discoveryUrl) ?? new Provider(this.#env, discoveryUrl)
    this.#providers.delete(discoveryUrl)
    this.#providers.set(discoveryUrl, provider)
    if (this.#providers.size > MOST_PROVIDERS) {
      const [oldest, unused] = this.#providers.entries().next().value!
      this.#providers.delete(oldest)
      unused.close()
    }
    return provider
  }

  /** Takes it out: what is still good is put back, as the most recently used. */
  #take(key: string): Kept | undefined {
    const kept = this.#kept.get(key)
    if (kept) this.#kept.delete(key)
    return kept && this.#env.clock.now() < kept.permission.expiresAtMs ? kept : undefined
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.set(key, kept)
    if (this.#kept.size > MOST_PERMISSIONS) this.#kept.delete(this.#kept.keys().next().value!)
  }

  /** Of what the authorizer says, not of the object: a runtime that is read anew has another object. */
  #identityOf(customJWT: CustomJWT): string {
    const known = this.#identities.get(customJWT)
    if (known !== undefined) return known
    const identity = digestOf(JSON.stringify(customJWT))
    this.#identities.set(customJWT, identity)
    return identity
  }
}

function digestOf(text: string): string {
  return hash('sha256', text, 'base64')
}
