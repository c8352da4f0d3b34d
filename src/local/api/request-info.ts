/** What a request of the Kubernetes API is about, read from method, path and query alone (apiserver's RequestInfo). */
export interface RequestInfo {
  /** get, list, watch, create, update, patch, delete, deletecollection; the method in lower case off the resource paths. */
  verb: string
  /** Undefined for /healthz, /version, discovery and whatever else is no object. */
  object?: {
    group: string
    version: string
    resource: string
    namespace?: string
    name?: string
    subresource?: string
  }
}

const VERBS: Record<string, { one: string; all: string }> = {
  GET: { one: 'get', all: 'list' },
  POST: { one: 'create', all: 'create' },
  PUT: { one: 'update', all: 'update' },
  PATCH: { one: 'patch', all: 'patch' },
  DELETE: { one: 'delete', all: 'deletecollection' },
}

/** `path` is encoded and without its query. */
export function requestInfo(method: string, path: string, query: URLSearchParams): RequestInfo {
  const object = objectOf(path.split('/').slice(1).map(decoded))
  const verbs = VERBS[method]
  if (object === undefined || verbs === undefined) return { verb: method.toLowerCase() }
  const watches = method === 'GET' && object.name === undefined && ['true', '1'].includes(query.get('watch') ?? '')
  return { verb: watches ? 'watch' : object.name === undefined ? verbs.all : verbs.one, object }
}

function objectOf(segments: string[]): RequestInfo['object'] {
  const [root, ...afterRoot] = segments
  if (root !== 'api' && root !== 'apis') return undefined
  const group = root === 'api' ? '' : afterRoot.shift()
  const version = afterRoot.shift()
  if (group === undefined || version === undefined || afterRoot.length === 0 || afterRoot[0] === '') return undefined
  const [first, namespace, ...inside] = afterRoot
  if (first !== 'namespaces' || namespace === undefined || inside.length === 0 || isOfTheNamespaceItself(inside)) {
    return {
      group,
      version,
      resource: first!,
      ...named(namespace, afterRoot.slice(2)),
      ...(first === 'namespaces' && namespace ? { namespace } : {}),
    }
  }
  return { group, version, resource: inside[0]!, namespace, ...named(inside[1], inside.slice(2)) }
}

/** /api/v1/namespaces/x/status is the namespace's own subresource, no kind called `status`. */
function isOfTheNamespaceItself(inside: string[]): boolean {
  return inside.length === 1 && (inside[0] === 'status' || inside[0] === 'finalize')
}

function named(name: string | undefined, rest: string[]): { name?: string; subresource?: string } {
  return { ...(name ? { name } : {}), ...(rest.length > 0 ? { subresource: rest.join('/') } : {}) }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
