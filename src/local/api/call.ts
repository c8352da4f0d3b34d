import type { Env } from '../../env/env.ts'
import type { Pod } from '../../kube/objects.ts'
import type { WatchEvent } from '../../kube/transport.ts'
import type { Persistence } from './persistence.ts'

/** One request, after its caller was recognised. */
export interface ApiCall {
  identity: Identity
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Encoded, without the query. */
  path: string
  query: URLSearchParams
  contentType?: string
  accept?: string
  /** Parsed. */
  body?: unknown
  signal?: AbortSignal
}

export type ApiAnswer =
  | { status: number; headers?: Record<string, string>; body: unknown }
  | { status: 200; headers?: Record<string, string>; watch: AsyncIterable<WatchEvent> }
  | { status: 200; headers?: Record<string, string>; text: AsyncIterable<Uint8Array> }

/** Who calls, and what that one may do. */
export interface Identity {
  user: string
  uid?: string
  groups: string[]
  /** What the way in says about the caller beside: for a service account's token its id. */
  extra?: Record<string, string[]>
  /** What is fixed for this caller; what roles give comes on top. */
  allows(verb: string, group: string, resource: string, subresource?: string, namespace?: string): boolean
  /** The same of paths that are no resources. Absent: none. */
  allowsPath?(verb: string, path: string): boolean
}

export interface LogOptions {
  tailLines?: number
  limitBytes?: number
  sinceSeconds?: number
  follow?: boolean
  timestamps?: boolean
  previous?: boolean
}

/** Where the lines of a pod's containers come from: its kubelet. */
export interface PodLogs {
  read(pod: Pod, container: string, options: LogOptions, signal?: AbortSignal): AsyncIterable<Uint8Array>
}

export interface ApiEnv extends Env {
  persistence: Persistence
  logs: PodLogs
}
