import type { Timer } from '../../../env/clock.ts'
import type { Env } from '../../../env/env.ts'
import type { KubeObject } from '../../../kube/objects.ts'
import type { Committed, ObjectStore } from '../object-store.ts'

/** The real controller works in the background, too. */
const SOON_MS = 1
/** After the disk refused. */
const AGAIN_MS = 1_000

/** Sees to it that every namespace has its ServiceAccount `default`, as the real serviceaccount controller does. */
export class DefaultAccounts {
  readonly #env: Pick<Env, 'clock' | 'log'>
  readonly #store: ObjectStore
  readonly #ensure: (account: KubeObject) => Promise<void>
  #due: Timer | undefined
  #stopped = false

  constructor(env: Pick<Env, 'clock' | 'log'>, store: ObjectStore, ensure: (account: KubeObject) => Promise<void>) {
    this.#env = env
    this.#store = store
    this.#ensure = ensure
  }

  /** Called after every commit. */
  noticed({ type, collection, object }: Committed): void {
    const isNew = collection === 'core/namespaces' && type === 'ADDED'
    const isLost = collection === 'core/serviceaccounts' && type === 'DELETED' && object.metadata.name === 'default'
    if (isNew || isLost) this.#arm(SOON_MS)
  }

  /** Makes those that are missing now. */
  async fill(): Promise<void> {
    for (const { metadata } of this.#store.list('core/namespaces')) {
      const isMissing = this.#store.get({ collection: 'core/serviceaccounts', namespace: metadata.name, name: 'default' }) === undefined
      if (metadata.deletionTimestamp || !isMissing) continue
      await this.#ensure({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: metadata.name } })
    }
  }

  stop(): void {
    this.#stopped = true
    this.#due?.cancel()
  }

  #arm(afterMs: number): void {
    if (this.#due || this.#stopped) return
    this.#due = this.#env.clock.after(afterMs, () => {
      this.#due = undefined
      this.fill().catch((error: unknown) => {
        this.#env.log.warn({ err: error }, 'a namespace has no service account yet, which is tried again')
        this.#arm(AGAIN_MS)
      })
    })
  }
}
