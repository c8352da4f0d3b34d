import { z } from 'zod'
import { rfc3339Seconds } from '../../../env/clock.ts'
import type { Env } from '../../../env/env.ts'
import { uuid } from '../../../env/random.ts'
import type { KubeObject, Pod } from '../../../kube/objects.ts'
import type { ApiAnswer } from '../call.ts'
import type { ObjectStore } from '../object-store.ts'
import type { Request } from '../read.ts'
import { badRequest, conflict, invalid, invalidValue, notFound, type Cause } from '../statuses.ts'
import { ISSUER, type Claims } from './claims.ts'
import type { KeyRing } from './key-ring.ts'

const SHORTEST_SECONDS = 600
const LONGEST_SECONDS = 2 ** 32
const HOUR_SECONDS = 3600

const bodySchema = z.looseObject({
  kind: z.literal('TokenRequest').nullish(),
  metadata: z.looseObject({ name: z.string().nullish(), namespace: z.string().nullish() }).nullish(),
  spec: z
    .looseObject({
      audiences: z.array(z.string()).nullish(),
      expirationSeconds: z.int().nullish(),
      boundObjectRef: z
        .looseObject({
          apiVersion: z.string().nullish(),
          kind: z.string().nullish(),
          name: z.string().nullish(),
          uid: z.string().nullish(),
        })
        .nullish(),
    })
    .nullish(),
})

type Bound = NonNullable<NonNullable<z.infer<typeof bodySchema>['spec']>['boundObjectRef']>
type Life = Partial<Pick<Claims['kubernetes.io'], 'pod' | 'secret' | 'node'>>

/** POST serviceaccounts/token: a token of the account, dead with it, with what it is bound to, or when its time is over. */
export class TokenRequests {
  readonly #env: Pick<Env, 'clock' | 'random'>
  readonly #store: ObjectStore
  readonly #keys: KeyRing

  constructor(env: Pick<Env, 'clock' | 'random'>, store: ObjectStore, keys: KeyRing) {
    this.#env = env
    this.#store = store
    this.#keys = keys
  }

  async create({ namespace, name, call }: Request & { name: string }): Promise<ApiAnswer> {
    const given = bodySchema.safeParse(call.body ?? {})
    if (!given.success) throw badRequest(`this is no TokenRequest: ${z.prettifyError(given.error)}`)
    const { metadata, spec } = given.data
    const key = await this.#keys.key()
    const account = this.#find({ plural: 'serviceaccounts' }, namespace, name)
    const audiences = spec?.audiences?.length ? spec.audiences : [ISSUER]
    const expirationSeconds = spec?.expirationSeconds ?? HOUR_SECONDS
    check(name, metadata?.name ?? '', expirationSeconds)
    const bound = spec?.boundObjectRef ?? undefined
    const life = bound ? this.#lifeOf(bound, namespace, name) : {}
    const nowMs = this.#env.clock.now()
    const iat = Math.floor(nowMs / 1000)
    const exp = iat + expirationSeconds
    const claims: Claims = {
      aud: audiences,
      exp,
      iat,
      iss: ISSUER,
      jti: uuid(this.#env.random),
      'kubernetes.io': { namespace, ...life, serviceaccount: { name, uid: account.metadata.uid! } },
      nbf: iat,
      sub: `system:serviceaccount:${namespace}:${name}`,
    }
    const body = {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name, namespace, uid: account.metadata.uid, creationTimestamp: rfc3339Seconds(nowMs) },
      spec: { audiences, expirationSeconds, boundObjectRef: bound ?? null },
      status: { token: key.sign(claims), expirationTimestamp: rfc3339Seconds(exp * 1000) },
    }
    return { status: 201, body }
  }

  #lifeOf({ kind, apiVersion, name, uid }: Bound, namespace: string, account: string): Life {
    const plurals: Record<string, 'pods' | 'secrets' | 'nodes'> = { Pod: 'pods', Secret: 'secrets', Node: 'nodes' }
    const plural = apiVersion === 'v1' || !apiVersion ? plurals[kind ?? ''] : undefined
    if (plural === undefined) throw badRequest(`cannot bind token to object of type ${typeIn(apiVersion ?? '')}, Kind=${kind ?? ''}`)
    const found = this.#find({ plural }, plural === 'nodes' ? '' : namespace, name ?? '')
    if (uid && uid !== found.metadata.uid) {
      const why = `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`
      throw conflict({ group: '', plural: kind! }, found.metadata.name, why)
    }
    const bound = { name: found.metadata.name, uid: found.metadata.uid! }
    if (plural !== 'pods') return plural === 'secrets' ? { secret: bound } : { node: bound }
    return { pod: bound, ...this.#nodeOf(found as Pod, account) }
  }

  /** A pod's token also says on which node it runs. */
  #nodeOf({ spec }: Pod, account: string): Life {
    const { nodeName, serviceAccountName = '' } = spec ?? {}
    if (serviceAccountName !== account) {
      throw badRequest(`cannot bind token for serviceaccount ${JSON.stringify(account)} to pod running with different serviceaccount name.`)
    }
    if (!nodeName) return {}
    const uid = this.#store.get({ collection: 'core/nodes', namespace: '', name: nodeName })?.metadata.uid
    return { node: { name: nodeName, ...(uid ? { uid } : {}) } }
  }

  #find({ plural }: { plural: string }, namespace: string, name: string): KubeObject {
    const found = this.#store.get({ collection: `core/${plural}`, namespace, name })
    if (found) return found
    throw notFound({ group: '', plural }, name)
  }
}

/** `apps/v1` is printed with its group first. */
function typeIn(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion : `/${apiVersion}`
}

function check(account: string, named: string, expirationSeconds: number): void {
  if (named && named !== account) {
    const cause = invalidValue('metadata.name', named, 'must match the service account name if specified')
    throw invalid(TOKEN_REQUEST, account, [cause])
  }
  const wrong = (message: string): Cause => invalidValue('spec.expirationSeconds', expirationSeconds, message)
  const causes = [
    ...(expirationSeconds < SHORTEST_SECONDS ? [wrong('may not specify a duration less than 10 minutes')] : []),
    ...(expirationSeconds > LONGEST_SECONDS ? [wrong('may not specify a duration larger than 2^32 seconds')] : []),
  ]
  if (causes.length > 0) throw invalid(TOKEN_REQUEST, '', causes)
}

const TOKEN_REQUEST = { group: 'authentication.k8s.io', plural: 'tokenrequests', kind: 'TokenRequest' }
