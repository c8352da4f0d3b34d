import type { KubeObject, Pod } from '../../kube/objects.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import type { ApiAnswer, ApiCall, ApiEnv, LogOptions } from './api.ts'
import type { History } from './history.ts'
import type { ObjectStore } from './object-store.ts'
import { fieldMatcher, labelMatcher, type Matcher } from './selectors.ts'
import type { ServedKind } from './served-kinds.ts'
import { badRequest, expired, notFound, tooLargeVersion } from './statuses.ts'

export interface Request {
  kind: ServedKind
  /** '' for what has no namespace, or for all of them. */
  namespace: string
  name?: string | undefined
  call: ApiCall
}

type Named = Request & { name: string }

/** GET in all its forms. Never waits for a writer. */
export class Reader {
  readonly #env: ApiEnv
  readonly #store: ObjectStore
  readonly #history: History

  constructor(env: ApiEnv, store: ObjectStore, history: History) {
    this.#env = env
    this.#store = store
    this.#history = history
  }

  get({ kind, namespace, name }: Named): ApiAnswer {
    return { status: 200, body: kind.toServed(this.#find(kind, namespace, name)) }
  }

  list({ kind, namespace, call, everywhere }: Request & { everywhere: boolean }): ApiAnswer {
    const matches = matcherOf(kind, call.query)
    this.#checkVersion(call.query)
    const all = this.#store.list(kind.collection, everywhere || !kind.namespaced ? undefined : namespace).filter(matches)
    const { page, rest } = pageOf(all, call.query)
    const continues = rest > 0 ? { continue: tokenAfter(page.at(-1)!, this.#store.resourceVersion), remainingItemCount: rest } : {}
    return {
      status: 200,
      body: {
        kind: `${kind.kind}List`,
        apiVersion: apiVersionOf(kind),
        metadata: { resourceVersion: String(this.#store.resourceVersion), ...continues },
        items: page.map(kind.toServed).map((object) => (kind.definition ? object : withoutType(object))),
      },
    }
  }

  watch({ kind, namespace, call, everywhere, name }: Request & { everywhere: boolean }): ApiAnswer {
    const { query, signal } = call
    const selected = matcherOf(kind, query)
    const inScope: Matcher = (object) =>
      (everywhere || !kind.namespaced || object.metadata.namespace === namespace) && (name === undefined || object.metadata.name === name)
    const matches: Matcher = (object) => inScope(object) && selected(object)
    const asked = query.get('resourceVersion') ?? ''
    const sendsInitial = query.get('sendInitialEvents') === 'true'
    const fromNow = asked === '' || asked === '0' || sendsInitial
    if (!fromNow && !/^\d+$/.test(asked)) throw badRequest(`Invalid value: "${asked}": resourceVersion must be a number`)
    const seconds = Number(query.get('timeoutSeconds') ?? 0)
    const watch = this.#history.watch({
      collection: kind.collection,
      matches,
      after: fromNow ? this.#store.resourceVersion : Number(asked),
      initial: fromNow ? this.#store.list(kind.collection).filter(matches).map(kind.toServed) : [],
      bookmarks: query.get('allowWatchBookmarks') === 'true' || query.get('allowWatchBookmarks') === '1',
      marksInitialEnd: sendsInitial,
      timeoutMs: seconds > 0 ? seconds * 1000 : undefined,
      signal,
      serve: kind.toServed,
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
    })
    return { status: 200, watch }
  }

  log({ kind, namespace, name, call }: Named): ApiAnswer {
    const pod = this.#find(kind, namespace, name) as Pod
    const container = call.query.get('container') ?? pod.spec!.containers[0]!.name
    if (!pod.spec!.containers.some((known) => known.name === container))
      throw badRequest(`container ${container} is not valid for pod ${name}`)
    return { status: 200, text: this.#env.logs.read(pod, container, logOptions(call.query), call.signal) }
  }

  /** There is only what is now: the newest state serves for all that ask for one not older, and for no other. */
  #checkVersion(query: URLSearchParams): void {
    const asked = query.get('resourceVersion') ?? ''
    if (asked === '' || asked === '0') return
    const now = this.#store.resourceVersion
    if (!/^\d+$/.test(asked)) throw badRequest(`Invalid value: "${asked}": resourceVersion must be a number`)
    if (Number(asked) > now) throw tooLargeVersion(asked, now)
    if (query.get('resourceVersionMatch') === 'Exact' && Number(asked) < now)
      throw expired('The resourceVersion for the provided list is too old.')
  }

  #find(kind: ServedKind, namespace: string, name: string): KubeObject {
    const object = this.#store.get({ collection: kind.collection, namespace, name })
    if (object === undefined) throw notFound(kind, name)
    return object
  }
}

export function matcherOf(kind: ServedKind, query: URLSearchParams): Matcher {
  const byLabel = labelMatcher(query.get('labelSelector'))
  const byField = fieldMatcher(
    query.get('fieldSelector')?.replaceAll('regarding.', 'involvedObject.') ?? null,
    new Set(['metadata.name', 'metadata.namespace', ...kind.selectableFields]),
  )
  return (object) => byLabel(object) && byField(object)
}

/** The real server names kind and version of built-in objects once, in the list. */
function withoutType({ apiVersion: _apiVersion, kind: _kind, ...object }: KubeObject): object {
  return object
}

/** Pages go by key, so an object that comes or goes between two pages neither repeats nor hides another. */
function pageOf(all: KubeObject[], query: URLSearchParams): { page: KubeObject[]; rest: number } {
  const limit = Number(query.get('limit') ?? 0)
  const token = query.get('continue')
  const after = token ? keyInToken(token) : undefined
  const remaining = after === undefined ? all : all.filter((object) => sortKey(object) > after)
  return limit > 0 ? { page: remaining.slice(0, limit), rest: Math.max(0, remaining.length - limit) } : { page: remaining, rest: 0 }
}

function sortKey({ metadata: { namespace = '', name } }: KubeObject): string {
  return `${namespace}/${name}`
}

function tokenAfter(last: KubeObject, resourceVersion: number): string {
  return Buffer.from(JSON.stringify({ v: 1, rv: resourceVersion, after: sortKey(last) })).toString('base64url')
}

function keyInToken(token: string): string {
  try {
    const { after } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as { after?: unknown }
    if (typeof after === 'string') return after
  } catch {
    // said below
  }
  throw expired('The provided continue parameter is not valid; list again without it.')
}

function logOptions(query: URLSearchParams): LogOptions {
  const options: LogOptions = {}
  for (const name of ['tailLines', 'limitBytes', 'sinceSeconds'] as const) {
    const value = query.get(name)
    if (value === null) continue
    if (!/^\d+$/.test(value)) throw badRequest(`${name}: Invalid value: "${value}": must be a non-negative integer`)
    options[name] = Number(value)
  }
  for (const name of ['follow', 'timestamps', 'previous'] as const) if (query.get(name) === 'true') options[name] = true
  return options
}
