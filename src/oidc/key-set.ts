import { hash } from 'node:crypto'
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose'
import { createLocalJWKSet } from 'jose/jwks/local'
import { DocumentError } from './document-error.ts'

/** The signing keys that a provider publishes (RFC 7517), at one moment. */
export class KeySet {
  /** Of jose: refuses keys of another type or use than the token's algorithm wants, and a kid that several keys have. */
  readonly getKey: JWTVerifyGetKey
  /** Of the whole document; equal documents need no second KeySet. */
  readonly digest: string
  readonly #prints = new Map<string, string>()

  /** Throws DocumentError JwksInvalid for what is no key set. */
  constructor(document: Record<string, unknown>) {
    const keys = document['keys']
    if (!Array.isArray(keys) || !keys.every(isObject)) throw new DocumentError('JwksInvalid')
    for (const key of keys) {
      if (typeof key['kid'] === 'string') this.#prints.set(key['kid'], `${this.#prints.get(key['kid']) ?? ''}${digestOf(key)}`)
    }
    this.getKey = createLocalJWKSet({ keys } as unknown as JSONWebKeySet)
    this.digest = digestOf(document)
  }

  has(kid: string): boolean {
    return this.#prints.has(kid)
  }

  /** Tells the key of this kid from any other that ever has it; undefined: there is none. */
  printOf(kid: string): string | undefined {
    return this.#prints.get(kid)
  }
}

function digestOf(value: object): string {
  return hash('sha256', JSON.stringify(value), 'base64')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
