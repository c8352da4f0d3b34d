/** One way to follow all sessions and session pods. */
export interface Follower {
  /** Resolves when everything is there; then `onChange` is called for each change. Answers how many objects are held. */
  start(kubeconfig: string, onChange: () => void): Promise<() => number>
}
