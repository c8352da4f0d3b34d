import type { Exit, PodPlan } from './process-host.ts'

/** What the kubelet does for one pod, from the first look at it until its object is gone. */
export type Work = Starting | Running | Ending | Ended | Released

/** Between the decision to run it and its process. Only ever seen by a reconcile that was cut off. */
export interface Starting {
  step: 'starting'
  startTimeMs: number
}

/** Its first process was started and nothing has ended it yet. */
export interface Running {
  step: 'running'
  plan: PodPlan
  address: string
  startTimeMs: number
  startedAtMs: number
  /** Monotonic; undefined: no activeDeadlineSeconds. */
  deadlineMs: number | undefined
}

/** Told to end; killed at `killAtMs` (monotonic). */
export interface Ending extends Omit<Running, 'step'> {
  step: 'ending'
  cause: EndCause
  killAtMs: number
}

/** Nothing of it runs any more; its object is there until somebody deletes it. */
export interface Ended {
  step: 'ended'
  end: End
}

/** Its object was deleted; the store may not know yet. */
export interface Released {
  step: 'released'
}

/** Why the kubelet ends a pod that would go on. */
export type EndCause = { why: 'Deleted' } | { why: 'DeadlineExceeded'; message: string } | { why: 'ListensOffLoopback'; message: string }

/** How it ended, as its status tells it. */
export interface End {
  phase: 'Succeeded' | 'Failed'
  /** status.reason of the pod: why the kubelet, not the agent, ended it. */
  reason?: string
  message?: string
  /** Absent: no container was ever started. */
  container?: {
    exitCode: number
    signal?: number
    reason: string
    message?: string
    startedAtMs?: number
  }
  address?: string
  startTimeMs: number
  finishedAtMs: number
}

/** A pod whose first process has exited, by itself or because it was told to. */
export function endOf(work: Running | Ending, exit: Exit, nowMs: number): End {
  const { address, startTimeMs, startedAtMs } = work
  const times = { address, startTimeMs, finishedAtMs: nowMs }
  const cause = work.step === 'ending' ? work.cause : undefined
  const { exitCode, signal } = exit
  const died = { exitCode, ...(signal === undefined ? {} : { signal }), startedAtMs }
  if (cause && cause.why !== 'Deleted') {
    const { why: reason, message } = cause
    return { phase: 'Failed', reason, message, container: { ...died, exitCode: exitCode || 1, reason, message }, ...times }
  }
  const good = exitCode === 0
  return { phase: good ? 'Succeeded' : 'Failed', container: { ...died, reason: good ? 'Completed' : 'Error' }, ...times }
}

/** A pod whose first process could not be started. 128 is what containerd gives. */
export function endOfStart(message: string, startTimeMs: number, nowMs: number): End {
  return {
    phase: 'Failed',
    container: { exitCode: 128, reason: 'StartError', message },
    startTimeMs,
    finishedAtMs: nowMs,
  }
}

/** A pod that ends without a container's doing: refused, or lost by a restart. */
export function endOfPod(reason: string, message: string, startTimeMs: number, nowMs: number): End {
  return { phase: 'Failed', reason, message, startTimeMs, finishedAtMs: nowMs }
}
