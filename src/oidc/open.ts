/** Adapter: the judge of bearer tokens of a process, with its own way to the providers. */
import type { Env } from '../env/env.ts'
import { Authorizers } from './authorizers.ts'
import { guardedFetch } from './guarded-fetch.ts'
import type { OidcSettings } from './settings.ts'

/** Throws when the file of authorities cannot be read. */
export function openAuthorizers(env: Env, settings: OidcSettings): { authorizers: Authorizers; close(): Promise<void> } {
  const way = guardedFetch(settings)
  const authorizers = new Authorizers({ ...env, fetchDocument: way.fetchDocument })
  return {
    authorizers,
    close: async () => {
      authorizers.close()
      await way.close()
    },
  }
}
