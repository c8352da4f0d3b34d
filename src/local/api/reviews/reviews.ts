import { rfc3339Seconds } from '../../../env/clock.ts'
import type { Env } from '../../../env/env.ts'
import type { KubeObject } from '../../../kube/objects.ts'
import { apiVersionOf } from '../../../kube/resource.ts'
import type { Authenticator } from '../accounts/authenticator.ts'
import type { ApiAnswer, Identity } from '../call.ts'
import { isObject } from '../patch-merge.ts'
import type { Authorizer } from '../rbac/authorizer.ts'
import type { Request } from '../read.ts'
import { objectOf } from '../sent-object.ts'
import { badRequest } from '../statuses.ts'
import { accessOf, personOf, statusOf } from './access-review.ts'
import { rulesStatus } from './rules-review.ts'

type Json = Record<string, unknown>

/** Questions that are asked by a POST and answered in its answer: whose token is it, who may do what. Nothing is stored. */
export class Reviews {
  readonly #env: Pick<Env, 'clock'>
  readonly #authenticator: Authenticator
  readonly #authorizer: Authorizer

  constructor(env: Pick<Env, 'clock'>, authenticator: Authenticator, authorizer: Authorizer) {
    this.#env = env
    this.#authenticator = authenticator
    this.#authorizer = authorizer
  }

  create(request: Request): ApiAnswer {
    const { kind, call } = request
    const { spec, metadata } = objectOf(kind, call.body) as KubeObject & { spec?: Json }
    const body = { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata, ...this.#answered(request, metadata, said(spec ?? {})) }
    return { status: 201, body }
  }

  #answered({ kind, namespace, call: { identity } }: Request, metadata: object, spec: Json): object {
    switch (kind.kind) {
      case 'TokenReview':
        return { spec, status: this.#tokenStatus(spec) }
      case 'SelfSubjectReview':
        return {
          metadata: { ...metadata, creationTimestamp: rfc3339Seconds(this.#env.clock.now()) },
          status: { userInfo: userOf(identity) },
        }
      case 'SelfSubjectRulesReview':
        if (typeof spec['namespace'] !== 'string') throw badRequest('no namespace on request')
        return { metadata: {}, spec: {}, status: rulesStatus(this.#authorizer, identity, spec['namespace']) }
      default:
        return {
          ...(namespace ? { metadata: { ...metadata, namespace } } : {}),
          spec,
          status: statusOf(
            this.#authorizer,
            kind.kind === 'SelfSubjectAccessReview' ? identity : personOf(spec),
            accessOf(kind.kind, spec, metadata, namespace),
          ),
        }
    }
  }

  #tokenStatus(spec: Json): object {
    const { token, audiences } = spec as { token?: unknown; audiences?: unknown }
    if (typeof token !== 'string' || token === '') throw badRequest('token is required for TokenReview in authentication')
    const wanted = Array.isArray(audiences) ? audiences.map(String) : []
    const recognised = this.#authenticator.recognise(token, wanted)
    if ('error' in recognised) return { user: {}, error: recognised.error }
    return { authenticated: true, user: userOf(recognised.identity), audiences: recognised.audiences }
  }
}

/** What is empty is not said. */
function said(fields: Json): Json {
  const inner = Object.entries(fields).map(([key, value]) => [key, isObject(value) ? said(value) : value] as const)
  return Object.fromEntries(inner.filter(([, value]) => value !== '' && !(Array.isArray(value) && value.length === 0)))
}

function userOf({ user, uid, groups, extra }: Identity): object {
  return { username: user, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) }
}
