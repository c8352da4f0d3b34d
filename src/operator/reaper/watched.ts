/** A live session's pod, as its reconcile sees it. */
export interface Watched {
  podUID: string
  /** `namespace/name` of the session to wake when the verdict changes. */
  sessionKey: string
  /** Absent until kubelet has published it. */
  address: string | undefined
  port: number
  /** Its agent has answered a ping before (the session is Running). */
  started: boolean
  idleMs: number
}
