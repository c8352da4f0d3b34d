import { isDeepStrictEqual } from 'node:util'
import { AGENT_RUNTIMES, type AgentRuntime } from '../../crds/agent-runtime.ts'
import { DONE, again, type Outcome } from '../../kube/controller.ts'
import { isAlreadyExists } from '../../kube/errors.ts'
import { isVersionOf, versionName } from '../../sessions/runtime-version.ts'
import { revisionsOfRuntimes, type Cluster } from '../cluster.ts'
import type { OperatorEnv } from '../env.ts'
import type { OperatorSettings } from '../settings.ts'
import { authorizersOf } from './authorizers.ts'
import { eventsOf } from './events.ts'
import type { ProviderChecks } from './provider-checks.ts'
import { refusalOf, type Refusal } from './refusal.ts'
import { sharedAudience } from './shared-audience.ts'
import { statusOf } from './status.ts'
import { SPEC_HASH_ANNOTATION, hashOf, revisionFor, versionedPart } from './version.ts'

/** How soon to look again at a revision whose creation the cache does not show yet. */
const CACHE_LAG_MS = 50
/** How soon to try again to make a version whose name another object has. */
const NAME_TAKEN_MS = 5_000

export interface RuntimeTools {
  cluster: Cluster
  env: OperatorEnv
  settings: OperatorSettings
  providers: ProviderChecks
}

/**
 * Gives a runtime its id, mints a version when its spec changed, pins its named endpoints, and says whether it can be invoked
 * and by whose tokens. Asks nobody but the API server: what is known of identity providers comes from the checks beside it.
 */
export async function reconcileRuntime(key: string, tools: RuntimeTools): Promise<Outcome> {
  const { cluster, env, settings, providers } = tools
  const runtime = cluster.runtimes.byKey(key)
  if (runtime === undefined || runtime.metadata.deletionTimestamp) {
    providers.want(key, [])
    return DONE
  }

  const unable = refusalOf(runtime.spec, runtime.metadata.namespace!, settings)
  const minted = unable ? { latest: newestOf(runtime, cluster)?.revision } : await mintVersion(runtime, cluster)
  if ('againAfterMs' in minted) return minted
  const refusal = unable ?? minted.refusal

  const authorizers = authorizersOf(runtime, cluster)
  providers.want(
    key,
    authorizers.map(({ customJWT }) => customJWT),
  )
  const findings = {
    refusal,
    latest: minted.latest,
    authorizers: authorizers.map((of) => ({ of, verdict: providers.verdictOn(of.customJWT) })),
    sharedAudience: sharedAudience(runtime, cluster),
  }
  const status = statusOf(runtime, findings, cluster, env.clock.now(), settings)
  const outcome = minted.refusal ? again(NAME_TAKEN_MS) : DONE
  if (isDeepStrictEqual(status, runtime.status)) return outcome
  cluster.runtimes.observe(await cluster.client.replace(AGENT_RUNTIMES, { ...runtime, status }, 'status'))
  for (const event of eventsOf(runtime.status, status)) cluster.events.record(runtime, event)
  return outcome
}

function newestOf(runtime: AgentRuntime, cluster: Cluster): ReturnType<Cluster['versionOf']> {
  return cluster.versionsOf(runtime).toSorted((a, b) => b.revision - a.revision)[0]
}

/** `refusal`: the latest version is not the spec's, which cannot be made. */
type Minted = { latest: number | undefined; refusal?: Refusal } | { againAfterMs: number }

/** The number of the version that the spec is now, made if it is a new one. */
async function mintVersion(runtime: AgentRuntime, cluster: Cluster): Promise<Minted> {
  const newest = newestOf(runtime, cluster)
  if (newest?.metadata.annotations?.[SPEC_HASH_ANNOTATION] === hashOf(versionedPart(runtime.spec))) return { latest: newest.revision }
  const next = Math.max(newest?.revision ?? 0, runtime.status?.latestVersion ?? 0) + 1
  try {
    const created = await cluster.client.create(revisionsOfRuntimes, revisionFor(runtime, next))
    cluster.revisions.observe(created)
    cluster.events.record(runtime, { type: 'Normal', reason: 'VersionCreated', note: `version ${next}`, action: 'CreateVersion' })
    return { latest: next }
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    return holderOf(runtime, next, newest?.revision, cluster)
  }
}

/** AlreadyExists means GET and verify (design rule 3). What a runtime of the same name left is removed. */
async function holderOf(runtime: AgentRuntime, version: number, latest: number | undefined, { client }: Cluster): Promise<Minted> {
  const { namespace, name } = runtime.metadata
  const held = await client.find(revisionsOfRuntimes, namespace, versionName(name, version))
  if (held === undefined || isVersionOf(held, runtime)) return { againAfterMs: CACHE_LAG_MS }
  if (
    held.metadata.ownerReferences?.some(
      (owner) => owner.kind === AGENT_RUNTIMES.kind && owner.controller && owner.uid !== runtime.metadata.uid,
    )
  ) {
    // The collector may be half a minute behind. Whose the name is now, only the API server says: the cache may be behind too.
    const now = await client.find(AGENT_RUNTIMES, namespace, name)
    if (now?.metadata.uid === runtime.metadata.uid)
      await client.delete(revisionsOfRuntimes, namespace, held.metadata.name, { uid: held.metadata.uid! })
    return { againAfterMs: CACHE_LAG_MS }
  }
  const message = `ControllerRevision ${namespace}/${held.metadata.name} is not of this runtime: delete it, so that version ${version} can be made`
  return { latest, refusal: { reason: 'VersionNameTaken', message } }
}
