import { ApiError, isNotFound } from './errors.ts'
import type { KubeObject, Status } from './objects.ts'
import { pathOf, type Resource } from './resource.ts'
import type { ApiRequest, ApiResponse, Transport } from './transport.ts'

const PAGE_SIZE = 500
const MERGE_PATCH = 'application/merge-patch+json'

/** Typed verbs over a transport. Every refusal is an ApiError; a missing answer is a TransportError. It never retries. */
export class KubeClient {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  get<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string): Promise<T> {
    return this.#call<T>({ method: 'GET', path: pathOf(resource, namespace, name) }, `get ${resource.plural} ${name}`)
  }

  async find<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string): Promise<T | undefined> {
    try {
      return await this.get(resource, namespace, name)
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  /** Quorum list, all pages. */
  async list<T extends KubeObject>(
    resource: Resource<T>,
    options: { namespace?: string; labelSelector?: string; fieldSelector?: string } = {},
  ): Promise<{ items: T[]; resourceVersion: string }> {
    const items: T[] = []
    const query: Record<string, string> = { limit: String(PAGE_SIZE) }
    if (options.labelSelector) query['labelSelector'] = options.labelSelector
    if (options.fieldSelector) query['fieldSelector'] = options.fieldSelector
    for (;;) {
      const page = await this.#call<List<T>>({ method: 'GET', path: pathOf(resource, options.namespace), query }, `list ${resource.plural}`)
      for (const item of page.items)
        items.push({ ...item, apiVersion: item.apiVersion ?? page.apiVersion, kind: item.kind ?? resource.kind })
      if (!page.metadata.continue) return { items, resourceVersion: page.metadata.resourceVersion }
      query['continue'] = page.metadata.continue
    }
  }

  create<T extends KubeObject>(resource: Resource<T>, object: T): Promise<T> {
    return this.#call<T>(
      { method: 'POST', path: pathOf(resource, object.metadata.namespace), body: object },
      `create ${resource.plural} ${object.metadata.name}`,
    )
  }

  /** PUT: compare-and-set by the object's own metadata.resourceVersion. */
  replace<T extends KubeObject>(resource: Resource<T>, object: T, subresource?: 'status'): Promise<T> {
    const { namespace, name } = object.metadata
    return this.#call<T>(
      { method: 'PUT', path: pathOf(resource, namespace, name, subresource), body: object },
      `replace ${resource.plural} ${name}`,
    )
  }

  /**
   * JSON merge patch; the preconditions travel in its metadata. Throws Conflict when one does not hold. (Of a uid that is
   * another's, the server says 422: it takes it for an attempt to change the uid.)
   */
  async mergePatch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    patch: { metadata?: object; [field: string]: unknown },
    options: { subresource?: 'status'; uid?: string; resourceVersion?: string } = {},
  ): Promise<T> {
    const { subresource, ...preconditions } = options
    const body = { ...patch, metadata: { ...patch.metadata, ...preconditions } }
    const doing = `patch ${resource.plural} ${name}`
    const path = pathOf(resource, namespace, name, subresource)
    const response = await this.#transport.request({ method: 'PATCH', path, contentType: MERGE_PATCH, body })
    if (preconditions.uid !== undefined && refusesUid(response)) throw new ApiError(409, 'Conflict', `${doing}: another has its name now`)
    return answerOf<T>(response, doing)
  }

  /**
   * Deletes the object with this UID and no other (design rule 3). 'gone': it is not there any more, or another has its
   * name. Throws ApiError Conflict when its resourceVersion moved.
   */
  async delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options: { uid: string; resourceVersion?: string; gracePeriodSeconds?: number },
  ): Promise<'deleted' | 'gone'> {
    const { uid, resourceVersion, gracePeriodSeconds } = options
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      preconditions: { uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    }
    const response = await this.#transport.request({ method: 'DELETE', path: pathOf(resource, namespace, name), body })
    if (response.status === 404) return 'gone'
    if (response.status === 409 && (await this.#isAnother(resource, namespace, name, uid))) return 'gone'
    if (response.status >= 300) throw ApiError.from(response, `delete ${resource.plural} ${name}`)
    return 'deleted'
  }

  /** pods/log as text. */
  async logs(
    namespace: string,
    pod: string,
    options: { container?: string; tailLines?: number; limitBytes?: number } = {},
  ): Promise<string> {
    const query = Object.fromEntries(Object.entries(options).map(([key, value]) => [key, String(value)]))
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log`
    const body = await this.#call<unknown>({ method: 'GET', path, query }, `read the log of pod ${pod}`)
    return typeof body === 'string' ? body : JSON.stringify(body)
  }

  /** Which of the two preconditions failed: the server's 409 does not say it in a field. */
  async #isAnother(resource: Resource, namespace: string | undefined, name: string, uid: string): Promise<boolean> {
    const current = await this.find(resource, namespace, name)
    return current?.metadata.uid !== uid
  }

  async #call<Answer>(request: ApiRequest, doing: string): Promise<Answer> {
    return answerOf<Answer>(await this.#transport.request(request), doing)
  }
}

function answerOf<Answer>(response: ApiResponse, doing: string): Answer {
  if (response.status >= 300) throw ApiError.from(response, doing)
  return response.body as Answer
}

function refusesUid({ status, body }: ApiResponse): boolean {
  return status === 422 && Boolean((body as Partial<Status>).details?.causes?.some(({ field }) => field === 'metadata.uid'))
}

interface List<T> {
  apiVersion: string
  metadata: { resourceVersion: string; continue?: string }
  items: T[]
}
