/**
 * Adapter: draws a key pair and signs with it (ES256, RFC 7515 and 7518). Not by jose: its signatures come a turn of the
 * event loop later from a pool of threads, and on a virtual clock nothing but the clock may decide what happens first.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto'

/** A key as it is kept: PKCS #8 in PEM. */
export interface KeptKey {
  privateKey: string
}

export function freshKey(): KeptKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }
}

type Json = Record<string, unknown>

/** The claims of a token whose signature is right; or what else it is. */
export type Read = { claims: Json } | 'no token of this key' | 'forged'

/** Signs and reads the tokens of one key. */
export class TokenKey {
  readonly #private: KeyObject
  readonly #public: KeyObject
  readonly #id: string

  constructor({ privateKey }: KeptKey) {
    this.#private = createPrivateKey(privateKey)
    this.#public = createPublicKey(this.#private)
    this.#id = createHash('sha256')
      .update(this.#public.export({ type: 'spki', format: 'der' }))
      .digest('base64url')
  }

  /** RFC 7517. */
  get jwk(): Json {
    return { use: 'sig', kid: this.#id, alg: 'ES256', ...this.#public.export({ format: 'jwk' }) }
  }

  sign(claims: Json): string {
    const signed = `${encoded({ alg: 'ES256', kid: this.#id })}.${encoded(claims)}`
    const signature = sign('sha256', Buffer.from(signed), { key: this.#private, dsaEncoding: 'ieee-p1363' })
    return `${signed}.${signature.toString('base64url')}`
  }

  /** Whatever else a header says, the algorithm is the key's. */
  read(token: string): Read {
    const [head, body, signature, ...more] = token.split('.')
    const claims = decoded(body)
    if (claims === undefined || decoded(head)?.['alg'] !== 'ES256' || signature === undefined || more.length > 0)
      return 'no token of this key'
    const bytes = Buffer.from(signature, 'base64url')
    const isCanonical = bytes.toString('base64url') === signature
    const isRight = isCanonical && verify('sha256', Buffer.from(`${head}.${body}`), { key: this.#public, dsaEncoding: 'ieee-p1363' }, bytes)
    return isRight ? { claims } : 'forged'
  }
}

function encoded(value: Json): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function decoded(text: string | undefined): Json | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text ?? '', 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined
  } catch {
    return undefined
  }
}
