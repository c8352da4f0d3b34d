/**
 * The kubelet's port to the machine: what it needs of files, processes and sockets. The machine itself is
 * `machine/machine-host.ts`; a virtual-clock test puts a fake in its place.
 */
export interface ProcessHost {
  /** Gives the pod its private copy of the code, HOME and TMPDIR. Idempotent: a copy that is there is replaced. */
  prepare(pod: PodPlan): Promise<Prepared>
  /** Starts the command of a prepared pod. A refusal leaves no process behind. */
  start(pod: PlacedPod): Promise<Started>
  /**
   * Resolves once the pod of this UID is over: its first process has exited, every other one has been killed (they share
   * the fate of process 1, as in a container), and the last output is in the log. Never rejects.
   */
  exited(podUID: string): Promise<Exit>
  /** SIGTERM goes once to every process of the pod. SIGKILL resolves when none is left, and rejects when one survives. */
  signal(podUID: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** Every live process of the pod, however it was forked away. */
  processes(podUID: string): Promise<number[]>
  /** Sockets of pods that something off this machine, or another session's callers, could reach. */
  violations(): Promise<Violation[]>
  /** Removes the pod's files, not its log. Idempotent. */
  cleanup(podUID: string): Promise<void>
  /** Removes the pod's log as well: its object is gone. Idempotent. */
  forget(podUID: string): Promise<void>
  /** UIDs of pods of which processes, files or logs are on the machine although this kubelet did not start them. */
  leftovers(): Promise<string[]>
  /** A loopback address for one pod, never given before. Rejects when none is left. */
  nextAddress(): Promise<string>
}

/** Sees the moments at which a pod's counters are about to go. */
export interface HostWatcher {
  /** These processes of the pod are about to get a signal. */
  signalled(podUID: string, pids: readonly number[]): void
  /** Its first process has exited, and none is left. */
  over(podUID: string): void
}

/** What the pod's spec asks for, with the directory made absolute. */
export interface PodPlan {
  uid: string
  namespace: string
  name: string
  /** The original code directory. */
  directory: string
  command: readonly string[]
  /** The container's own environment; it wins over what the kubelet sets. */
  environment: Readonly<Record<string, string>>
  region: string
  /** Ports that the container declares. */
  ports: readonly number[]
  gracePeriodMs: number
  activeDeadlineMs: number | undefined
}

export interface PlacedPod extends PodPlan {
  address: string
}

export type StartFailure = {
  failed: 'CommandNotFound' | 'CommandNotExecutable' | 'DirectoryMissing' | 'PortTaken' | 'PlatformUnsupported' | 'StartError'
  /** What happened, and what to do. */
  message: string
}
export type Prepared = { ready: true } | StartFailure
export type Started = { pid: number } | StartFailure

export interface Exit {
  /** 128 + the signal's number when a signal ended it. */
  exitCode: number
  /** The signal's number. */
  signal?: number
}

export interface Violation {
  podUID: string
  protocol: 'tcp' | 'udp'
  address: string
  port: number
  pid: number
}
