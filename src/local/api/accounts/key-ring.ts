import { uuid } from '../../../env/random.ts'
import type { Env } from '../../../env/env.ts'
import type { KubeObject } from '../../../kube/objects.ts'
import type { ObjectStore } from '../object-store.ts'
import { TokenKey, freshKey } from './token-key.ts'

/** Beside the objects, where no path leads. */
const SLOT = { collection: 'local/token-keys', namespace: '', name: 'current' }

type StoredKey = KubeObject & { privateKey: string }

/** The key of the service-account tokens: drawn when the first one is asked for, and kept with the objects. */
export class KeyRing {
  readonly #env: Pick<Env, 'random'>
  readonly #store: ObjectStore
  #key: TokenKey | undefined

  constructor(env: Pick<Env, 'random'>, store: ObjectStore) {
    this.#env = env
    this.#store = store
  }

  /** Undefined as long as no token was ever asked for: then there is none that could be right. */
  known(): TokenKey | undefined {
    const stored = this.#key ? undefined : (this.#store.get(SLOT) as StoredKey | undefined)
    if (stored) this.#key = new TokenKey(stored)
    return this.#key
  }

  /** Waits for the writers before. */
  key(): Promise<TokenKey> {
    return this.#store.exclusively(async () => this.known() ?? (await this.#drawn()))
  }

  async #drawn(): Promise<TokenKey> {
    const metadata = { name: SLOT.name, uid: uuid(this.#env.random) }
    const stored: StoredKey = { apiVersion: 'local/v1', kind: 'TokenKey', metadata, ...freshKey() }
    await this.#store.put(SLOT, stored)
    return this.known()!
  }
}
