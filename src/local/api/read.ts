import type { KubeObject, Pod } from '../../kube/objects.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import type { ApiAnswer, ApiCall, ApiEnv, LogOptions } from './call.ts'
import type { History } from './history.ts'
import type { ObjectStore } from './object-store.ts'
import { labelMatcher } from './label-selector.ts'
import { checkListOptions, checkListVersion, checkReadVersion } from './list-options.ts'
import { fieldMatcher, type Matcher } from './selectors.ts'
import type { ServedKind } from './served-kinds.ts'
import { badRequest, notFound, unreadableVersion } from './statuses.ts'

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

  get({ kind, namespace, name, call }: Named): ApiAnswer {
    checkReadVersion(call.query, this.#store.resourceVersion)
    return { status: 200, body: kind.toServed(this.#find(kind, namespace, name)) }
  }

  list({ kind, namespace, call, everywhere }: Request & { everywhere: boolean }): ApiAnswer {
    const matches = matcherOf(kind, call.query)
    checkListOptions(call.query, false)
    checkListVersion(call.query, this.#store.resourceVersion)
    const all = this.#store.list(kind.collection, everywhere || !kind.namespaced ? undefined : namespace)
    const { page, rest } = pageOf(kind, all, matches, call.query)
    const isSelective = call.query.get('labelSelector') || call.query.get('fieldSelector')
    const remaining = isSelective ? {} : { remainingItemCount: rest }
    const continues = rest > 0 ? { continue: tokenAfter(page.at(-1)!, this.#store.resourceVersion), ...remaining } : {}
    return {
      status: 200,
      body: {
        kind: `${kind.kind}List`,
        apiVersion: apiVersionOf(kind),
        metadata: { ...(kind.definition ? { continue: '' } : {}), resourceVersion: String(this.#store.resourceVersion), ...continues },
        items: itemsOf(kind, page),
      },
    }
  }

  watch({ kind, namespace, call, everywhere, name }: Request & { everywhere: boolean }): ApiAnswer {
    const { query, signal } = call
    const selected = matcherOf(kind, query)
    checkListOptions(query, true)
    const inScope: Matcher = (object) =>
      (everywhere || !kind.namespaced || object.metadata.namespace === namespace) && (name === undefined || object.metadata.name === name)
    const matches: Matcher = (object) => inScope(object) && selected(object)
    const asked = query.get('resourceVersion') ?? ''
    const sendsInitial = query.get('sendInitialEvents') === 'true'
    const fromNow = asked === '' || asked === '0' || sendsInitial
    const beginsEmpty = query.get('sendInitialEvents') === 'false'
    const bookmarks = ['true', '1'].includes(query.get('allowWatchBookmarks') ?? '')
    if (!fromNow && !/^\d+$/.test(asked)) throw unreadableVersion(asked, true)
    const seconds = Number(query.get('timeoutSeconds') ?? 0)
    const watch = this.#history.watch({
      collection: kind.collection,
      matches,
      after: fromNow ? this.#store.resourceVersion : Number(asked),
      initial: fromNow && !beginsEmpty ? this.#store.list(kind.collection).filter(matches).map(kind.toServed) : [],
      bookmarks,
      marksInitialEnd: sendsInitial && bookmarks,
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

  #find(kind: ServedKind, namespace: string, name: string): KubeObject {
    const object = this.#store.get({ collection: kind.collection, namespace, name })
    if (object === undefined) throw notFound(kind, name)
    return object
  }
}

export function matcherOf(kind: ServedKind, query: URLSearchParams): Matcher {
  const byLabel = labelMatcher(query.get('labelSelector'))
  const byField = fieldMatcher(
    query.get('fieldSelector')?.replaceAll('regarding.', 'involvedObject.').replaceAll('reportingController', 'reportingComponent') ?? null,
    kind.selectableFields.length > 0 || kind.definition ? kind.selectableFields : undefined,
  )
  return (object) => byLabel(object) && byField(object)
}

/** The real server names kind and version of built-in objects once, in the list. */
export function itemsOf(kind: ServedKind, objects: readonly KubeObject[]): object[] {
  const withoutType = ({ apiVersion: _apiVersion, kind: _kind, ...object }: KubeObject): object => object
  return objects.map(kind.toServed).map((object) => (kind.definition ? object : withoutType(object)))
}

/**
 * Pages go by key, so an object that comes or goes between two pages neither repeats nor hides another. A list from
 * resourceVersion 0 is the real server's cache as it is, whatever the limit. `rest`: objects after the page, selected or
 * not: the real server does not look at them before it is asked to, and so a last page may be empty.
 */
function pageOf(
  { isCached }: ServedKind,
  all: KubeObject[],
  matches: Matcher,
  query: URLSearchParams,
): { page: KubeObject[]; rest: number } {
  const limit = isCached && query.get('resourceVersion') === '0' ? 0 : Number(query.get('limit') ?? 0)
  const token = query.get('continue')
  const after = token ? keyInToken(token) : undefined
  const remaining = after === undefined ? all : all.filter((object) => sortKey(object) > after)
  const selected = remaining.filter(matches)
  const namesOne = /(^|,)\s*metadata\.name\s*=/.test(query.get('fieldSelector') ?? '')
  if (limit <= 0 || selected.length < limit || namesOne) return { page: selected, rest: 0 }
  const page = selected.slice(0, limit)
  return { page, rest: remaining.length - 1 - remaining.indexOf(page.at(-1)!) }
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
  throw badRequest('invalid continue token: continue key is not valid: list again without it')
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
