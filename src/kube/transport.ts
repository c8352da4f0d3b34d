import type { KubeObject, Status } from './objects.ts'

/**
 * The port to a Kubernetes API server: over HTTP (`http-transport.ts`), or straight into the embedded API server's
 * function (`src/local`), or delayed and reordered by a test. It knows bytes and status codes, no kinds.
 */
export interface Transport {
  /**
   * One request. Resolves for every status that the server answered; rejects (TransportError) only when no answer came:
   * refused, reset, timed out, aborted.
   */
  request(request: ApiRequest): Promise<ApiResponse>
  /**
   * A watch. Yields events until the server ends it, the signal aborts (both: clean end) or the connection breaks (rejects
   * with TransportError). A start that the server refuses (410, 429, 500, ...) rejects with ApiError. An ERROR event is
   * yielded as it is. Returning from the iteration closes the connection.
   */
  watch(request: WatchRequest): AsyncIterable<WatchEvent>
}

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Absolute and encoded, without query: `/api/v1/namespaces/a/pods`. */
  path: string
  query?: Record<string, string>
  /** Sent as JSON. */
  body?: unknown
  /** Default application/json; a PATCH must name its kind. */
  contentType?: string
  /** The transport's own bound on the whole request; default 30,000. */
  timeoutMs?: number
  signal?: AbortSignal
}

export interface ApiResponse {
  status: number
  /** Names in lower case. */
  headers: Record<string, string>
  /** Parsed JSON; a string when the answer is not JSON (pods/log). */
  body: unknown
}

export interface WatchRequest {
  path: string
  query?: Record<string, string>
  signal?: AbortSignal
}

export type WatchEvent =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: KubeObject }
  | { type: 'BOOKMARK'; object: KubeObject }
  | { type: 'ERROR'; object: Status }
