/**
 * The audit log: one `audit.k8s.io/v1` Event for each request when its answer is complete, at level Metadata, as the real
 * server writes it. Calls over HTTP and calls inside the process go through the same wrapper, so the log misses none.
 */
import { rfc3339Micros } from '../../../env/clock.ts'
import type { Env } from '../../../env/env.ts'
import { uuid } from '../../../env/random.ts'
import type { ApiAnswer, ApiCall } from '../call.ts'
import { requestInfo } from '../request-info.ts'

export interface AuditEvent {
  kind: 'Event'
  apiVersion: 'audit.k8s.io/v1'
  level: 'Metadata'
  auditID: string
  stage: 'ResponseComplete'
  /** With its query. */
  requestURI: string
  verb: string
  user: { username?: string; groups?: string[] }
  /** As whom the user acted, where that was another. */
  impersonatedUser?: { username: string; groups: string[] }
  sourceIPs?: string[]
  userAgent?: string
  objectRef?: {
    resource: string
    namespace?: string
    name?: string
    uid?: string
    apiGroup?: string
    apiVersion: string
    resourceVersion?: string
    subresource?: string
  }
  responseStatus: { metadata: object; status?: string; message?: string; reason?: string; code: number }
  requestReceivedTimestamp: string
  stageTimestamp: string
}

/** Takes events one by one, in the order of completion. Must not throw. */
export interface AuditSink {
  write(event: AuditEvent): void
}

/** Anything that answers API calls: the embedded API itself, or a wrapper of it. */
export interface ApiHandler {
  handle(call: ApiCall): Promise<ApiAnswer>
}

/** What HTTP knows of a request beside the call. */
export interface AuditOrigin {
  auditId?: string
  sourceIPs?: string[]
  userAgent?: string
}

/** A request whose answer is still to come. */
export interface AuditTrail {
  readonly auditId: string
  /** The answer's status; a Status body says more. Writes the event; later calls do nothing. */
  complete(code: number, body?: unknown): void
}

export interface AuditedRequest {
  method: string
  path: string
  query: URLSearchParams
  user?: { user: string; groups: string[] }
  impersonatedUser?: { user: string; groups: string[] }
  body?: unknown
}

type AuditEnv = Pick<Env, 'clock' | 'random'>

/** Opens the trail of one request. `user` is absent where the request was refused before anyone was recognised. */
export function beginAudit(env: AuditEnv, sink: AuditSink, request: AuditedRequest, origin: AuditOrigin = {}): AuditTrail {
  const receivedMs = env.clock.now()
  const auditId = origin.auditId ?? uuid(env.random)
  let isComplete = false
  return {
    auditId,
    complete(code, body) {
      if (isComplete) return
      isComplete = true
      sink.write({
        ...eventOf(request, origin),
        auditID: auditId,
        ...times(receivedMs, env.clock.now()),
        responseStatus: responseOf(code, body),
      })
    },
  }
}

/** The same handler, with every call logged: at once for an object, at its end for a watch or a log that streams. */
export function audited(api: ApiHandler, env: AuditEnv, sink: AuditSink): ApiHandler {
  return {
    async handle(call) {
      const trail = beginAudit(env, sink, { ...call, user: call.identity })
      try {
        return completing(await api.handle(call), trail)
      } catch (error) {
        trail.complete(500)
        throw error
      }
    },
  }
}

/** Completes the trail when the answer, or the stream that it carries, has ended. */
export function completing(answer: ApiAnswer, trail: AuditTrail): ApiAnswer {
  if ('watch' in answer) return { ...answer, watch: onEnd(answer.watch, () => trail.complete(answer.status)) }
  if ('text' in answer) return { ...answer, text: onEnd(answer.text, () => trail.complete(answer.status)) }
  trail.complete(answer.status, answer.body)
  return answer
}

async function* onEnd<Item>(items: AsyncIterable<Item>, end: () => void): AsyncGenerator<Item> {
  try {
    yield* items
  } finally {
    end()
  }
}

type EventHead = Omit<AuditEvent, 'auditID' | 'requestReceivedTimestamp' | 'stageTimestamp' | 'responseStatus'>

function eventOf(request: AuditedRequest, { sourceIPs, userAgent }: AuditOrigin): EventHead {
  const { verb, object } = requestInfo(request.method, request.path, request.query)
  const query = request.query.toString()
  const { user, impersonatedUser: other } = request
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    stage: 'ResponseComplete',
    requestURI: query === '' ? request.path : `${request.path}?${query}`,
    verb,
    user: user === undefined ? {} : { username: user.user, groups: user.groups },
    ...(other === undefined ? {} : { impersonatedUser: { username: other.user, groups: other.groups } }),
    ...(sourceIPs === undefined ? {} : { sourceIPs }),
    ...(userAgent === undefined ? {} : { userAgent }),
    ...(object === undefined ? {} : { objectRef: referenceTo(object, metadataOf(request.body)) }),
  }
}

/** A create names its object in the body only; a write names the version that it was computed from there. */
function referenceTo(object: NonNullable<ReturnType<typeof requestInfo>['object']>, sent: Sent): AuditEvent['objectRef'] {
  const name = object.name ?? sent.name
  return {
    resource: object.resource,
    ...(object.namespace === undefined ? {} : { namespace: object.namespace }),
    ...(name === undefined ? {} : { name }),
    ...(sent.uid === undefined ? {} : { uid: sent.uid }),
    ...(object.group === '' ? {} : { apiGroup: object.group }),
    apiVersion: object.version,
    ...(sent.resourceVersion === undefined ? {} : { resourceVersion: sent.resourceVersion }),
    ...(object.subresource === undefined ? {} : { subresource: object.subresource }),
  }
}

interface Sent {
  name?: string
  uid?: string
  resourceVersion?: string
}

function metadataOf(body: unknown): Sent {
  const metadata: unknown = typeof body === 'object' && body !== null && 'metadata' in body ? body.metadata : undefined
  if (typeof metadata !== 'object' || metadata === null) return {}
  const fields = metadata as Record<string, unknown>
  const texts = (['name', 'uid', 'resourceVersion'] as const).filter((field) => typeof fields[field] === 'string')
  return Object.fromEntries(texts.map((field) => [field, fields[field]]))
}

function responseOf(code: number, body: unknown): AuditEvent['responseStatus'] {
  const refusal = typeof body === 'object' && body !== null && 'kind' in body && body.kind === 'Status' ? (body as Refusal) : undefined
  return {
    metadata: {},
    ...(refusal?.status === undefined ? {} : { status: refusal.status }),
    ...(refusal?.message === undefined ? {} : { message: refusal.message }),
    ...(refusal?.reason === undefined ? {} : { reason: refusal.reason }),
    code,
  }
}

interface Refusal {
  status?: string
  message?: string
  reason?: string
}

function times(receivedMs: number, completeMs: number): Pick<AuditEvent, 'requestReceivedTimestamp' | 'stageTimestamp'> {
  return { requestReceivedTimestamp: rfc3339Micros(receivedMs), stageTimestamp: rfc3339Micros(completeMs) }
}
