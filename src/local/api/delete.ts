import { z } from 'zod'
import { rfc3339Seconds } from '../../env/clock.ts'
import type { KubeObject, Pod } from '../../kube/objects.ts'
import type { ServedKind } from './served-kinds.ts'
import { Refusal, badRequest, conflict, invalidValue, unsupported, type Cause } from './statuses.ts'
import { dryRunCauses, integerIn, invalidOptions } from './write-options.ts'

/** metav1.DeleteOptions, as far as they are served; foreground propagation is done in the background. */
export interface DeleteOptions {
  uid?: string
  resourceVersion?: string
  gracePeriodSeconds?: number
  propagationPolicy?: string
  dryRun: boolean
}

const bodySchema = z.looseObject({
  preconditions: z.looseObject({ uid: z.string().nullish(), resourceVersion: z.string().nullish() }).nullish(),
  gracePeriodSeconds: z.int().nullish(),
  propagationPolicy: z.string().nullish(),
  orphanDependents: z.boolean().nullish(),
  dryRun: z.array(z.string()).nullish(),
  kind: z.literal('DeleteOptions').nullish(),
})
const POLICIES = ['Foreground', 'Background', 'Orphan']

/** From the body, and from the query for what the body does not say. Throws 400 or 422 for what is none. */
export function deleteOptions(body: unknown, query: URLSearchParams): DeleteOptions {
  const fromQuery = {
    gracePeriodSeconds: integerIn(query, 'gracePeriodSeconds'),
    propagationPolicy: query.get('propagationPolicy'),
    dryRun: query.has('dryRun') ? query.getAll('dryRun') : undefined,
  }
  const given = bodySchema.safeParse({ ...present(fromQuery), ...present(body ?? {}) })
  if (!given.success) throw badRequest(`these are no delete options: ${z.prettifyError(given.error)}`)
  const { preconditions, gracePeriodSeconds: grace, orphanDependents, dryRun } = given.data
  const causes = [...policyCauses(given.data.propagationPolicy, orphanDependents), ...dryRunCauses(dryRun ?? [])]
  if (causes.length > 0) throw invalidOptions('DeleteOptions', causes)
  const propagationPolicy = given.data.propagationPolicy ?? (orphanDependents ? 'Orphan' : undefined)
  const { uid, resourceVersion } = preconditions ?? {}
  return {
    // The real server takes a negative grace for the shortest one.
    ...present({ uid, resourceVersion, propagationPolicy, gracePeriodSeconds: grace && grace < 0 ? 1 : grace }),
    dryRun: (dryRun?.length ?? 0) > 0,
  }
}

function policyCauses(policy: string | null | undefined, orphanDependents: boolean | null | undefined): Cause[] {
  if (policy === null || policy === undefined) return []
  if (orphanDependents !== null && orphanDependents !== undefined)
    return [invalidValue('propagationPolicy', policy, 'orphanDependents and deletionPropagation cannot be both set')]
  return POLICIES.includes(policy) ? [] : [unsupported('propagationPolicy', policy, [...POLICIES, 'nil'])]
}

/** What is said: an absent and a null field say nothing. */
function present<Fields extends object>(fields: Fields): { [Name in keyof Fields]?: NonNullable<Fields[Name]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)) as never
}

/** Some thirty years: what comes after is no date any more. */
const LONGEST_GRACE_SECONDS = 1_000_000_000
const UNDELETABLE = new Set(['default', 'kube-system', 'kube-public'])

/** Throws 409 when this is not the object that was meant, 403 when it may not go. */
export function checkDeletable(kind: ServedKind, { metadata }: KubeObject, { uid, resourceVersion }: DeleteOptions): void {
  const named = { group: kind.group, plural: kind.kind }
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`
    throw conflict(named, metadata.name, why)
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`
    throw conflict(named, metadata.name, why)
  }
  if (kind.kind === 'Namespace' && UNDELETABLE.has(metadata.name)) {
    throw new Refusal(403, 'Forbidden', `namespaces "${metadata.name}" is forbidden: this namespace may not be deleted`, {
      name: metadata.name,
      kind: 'namespaces',
    })
  }
}

/** The object as a DELETE leaves it (the same one when there is nothing to change), or undefined when it goes at once. */
export function afterDelete(kind: ServedKind, object: KubeObject, options: DeleteOptions, nowMs: number): KubeObject | undefined {
  const isHeld = (object.metadata.finalizers?.length ?? 0) > 0 || holdsContent(kind, object)
  const { deletionTimestamp, deletionGracePeriodSeconds: pendingSeconds = 0 } = object.metadata
  if (deletionTimestamp === undefined) {
    const graceSeconds = graceOf(kind, object, options)
    return graceSeconds > 0 || isHeld ? marked(kind, object, nowMs, graceSeconds) : undefined
  }
  if (pendingSeconds === 0) return isHeld ? object : undefined
  const askedSeconds = options.gracePeriodSeconds ?? pendingSeconds
  if (askedSeconds >= pendingSeconds) return object
  if (askedSeconds === 0 && !isHeld) return undefined
  return shortened(object, nowMs, askedSeconds - pendingSeconds, askedSeconds)
}

/** A pod that goes at once is marked first, as the real server does it: watches see both. */
export function lastMark(kind: ServedKind, object: KubeObject, nowMs: number): KubeObject | undefined {
  if (kind.kind !== 'Pod' || object.metadata.deletionGracePeriodSeconds === 0) return undefined
  if (object.metadata.deletionTimestamp === undefined) return marked(kind, object, nowMs, 0)
  return shortened(object, nowMs, -(object.metadata.deletionGracePeriodSeconds ?? 0), 0)
}

/** Marked for deletion, and nothing holds it any more. A pod that has a grace is taken away by its kubelet alone. */
export function isFinished(kind: ServedKind, object: KubeObject): boolean {
  const { deletionTimestamp, finalizers, deletionGracePeriodSeconds } = object.metadata
  return deletionTimestamp !== undefined && !finalizers?.length && !deletionGracePeriodSeconds && !holdsContent(kind, object)
}

/** Only a pod that runs on a node has a grace. */
function graceOf(kind: ServedKind, object: KubeObject, { gracePeriodSeconds }: DeleteOptions): number {
  const pod = object as Pod
  if (kind.kind !== 'Pod' || !pod.spec?.nodeName) return 0
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return 0
  return Math.min(gracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30, LONGEST_GRACE_SECONDS)
}

/** A namespace, until the collector has emptied it. */
export function holdsContent(kind: ServedKind, object: KubeObject): boolean {
  return kind.kind === 'Namespace' && ((object as KubeObject & { spec?: { finalizers?: string[] } }).spec?.finalizers?.length ?? 0) > 0
}

function marked(kind: ServedKind, object: KubeObject, nowMs: number, graceSeconds: number): KubeObject {
  const generation = object.metadata.generation ? { generation: object.metadata.generation + 1 } : {}
  const deletionTimestamp = rfc3339Seconds(nowMs + graceSeconds * 1000)
  const grace = kind.kind === 'Namespace' ? {} : { deletionGracePeriodSeconds: graceSeconds }
  const metadata = { ...object.metadata, ...generation, deletionTimestamp, ...grace }
  const phase = kind.kind === 'Namespace' ? { status: { phase: 'Terminating' } } : {}
  return { ...object, ...phase, metadata } as KubeObject
}

/** A grace is counted from when it was first asked for; what is over already is the shortest one, which kubelet still ends. */
function shortened(object: KubeObject, nowMs: number, bySeconds: number, graceSeconds: number): KubeObject {
  const endsAtMs = Date.parse(object.metadata.deletionTimestamp!) + bySeconds * 1000
  const isOver = endsAtMs < nowMs
  const deletionGracePeriodSeconds = isOver && graceSeconds > 0 ? 1 : graceSeconds
  return {
    ...object,
    metadata: { ...object.metadata, deletionTimestamp: rfc3339Seconds(isOver ? nowMs : endsAtMs), deletionGracePeriodSeconds },
  }
}
