/**
 * What a trace is made of. An operation names what it needs of earlier answers by words (`right`, `stale`), which each
 * API server's side resolves by what its own answers said: so one trace plays on any server, and still means something
 * when shrinking takes operations away.
 */
import type { KindName } from './kinds.ts'

export interface Trace {
  /** One or two: few kinds and few names make clients collide. */
  kinds: readonly KindName[]
  operations: readonly Operation[]
}

export type Operation = Create | Get | List | Replace | Patch | Delete | DeleteCollection | Watch

interface Base {
  /** Each client has a memory of its own, which the writes of others make stale. */
  client: number
  /** Index into the kinds of the trace, modulo their number. */
  kind: number
}

interface Named extends Base {
  name: string
}

/** Which remembered one: `right` the newest that this client saw, `stale` the oldest, `wrong` one that never was. */
export type Precondition = 'none' | 'right' | 'stale' | 'wrong'

export type Subresource = 'none' | 'status'

export interface Create extends Named {
  verb: 'create'
  /** Index into the kind's objects. */
  object: number
  /** Indexes into the kind's changes, each merged into the object. */
  changes: readonly number[]
  dryRun: boolean
}

export interface Get extends Named {
  verb: 'get'
}

export interface List extends Base {
  verb: 'list'
  selector: Selector
  /** Items a page; all pages are read. 0: no limit. */
  limit: number
  from: 'unset' | 'zero'
}

export interface Replace extends Named {
  verb: 'replace'
  subresource: Subresource
  /** What is sent: the newest remembered object, or a new one without any memory, changed. */
  base: 'remembered' | 'fresh'
  changes: readonly number[]
  uid: Precondition
  version: Precondition
}

export interface Patch extends Named {
  verb: 'patch'
  type: 'merge' | 'json' | 'strategic'
  subresource: Subresource
  /** Index into the kind's changes of that type. */
  change: number
  uid: Precondition
  version: Precondition
}

export interface Delete extends Named {
  verb: 'delete'
  uid: Precondition
  version: Precondition
  graceSeconds: number | undefined
  /** Orphan and Foreground are left to garbage collection's own time on a real server. */
  policy: 'Background' | undefined
  dryRun: boolean
}

export interface DeleteCollection extends Base {
  verb: 'deletecollection'
  selector: Selector
  graceSeconds: number | undefined
}

export interface Watch extends Base {
  verb: 'watch'
  selector: Selector
  /** `first` and `last`: of the resourceVersions that this client saw; `old`: one that is forgotten. */
  from: 'unset' | 'zero' | 'first' | 'last' | 'old' | 'garbage'
}

/** Index into SELECTORS. */
export type Selector = number
