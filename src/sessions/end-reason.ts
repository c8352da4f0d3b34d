/**
 * Why an incarnation of a session ended. Closed: the CRD refuses any other, and every reason has a sentence that says
 * what it means for the caller.
 */
export const END_REASONS = [
  'IdleTimeout',
  'MaxLifetime',
  'Stopped',
  'Unhealthy',
  'AgentExited',
  'PodLost',
  'NodeLost',
  'StartFailed',
  'RuntimeDeleted',
] as const

export type EndReason = (typeof END_REASONS)[number]

export const END_REASON_MEANING: Record<EndReason, string> = {
  IdleTimeout: 'no call, no open stream and no HealthyBusy for spec.lifecycle.idleTimeoutSeconds',
  MaxLifetime: 'spec.lifecycle.maxLifetimeSeconds have passed since it started',
  Stopped: 'StopRuntimeSession was called',
  Unhealthy: 'GET /ping failed three times in a row',
  AgentExited: "the agent's process ended by itself",
  PodLost: 'its pod was deleted, evicted, or did not survive a restart of the installation',
  NodeLost: "its pod's node stopped answering",
  StartFailed: 'the agent did not start',
  RuntimeDeleted: 'its AgentRuntime was deleted',
}
