import type { Clock } from '../env/clock.ts'
import type { Random } from '../env/random.ts'
import type { Transport } from '../kube/transport.ts'

/** The doors of a command. */
export interface CliEnv {
  clock: Clock
  random: Random
  screen: Screen
  /** Throws CommandFailure when there is no cluster to ask; asks nobody. */
  cluster(options: { kubeconfig?: string | undefined }): Cluster
  /** Of a gateway; rejects with CommandFailure. */
  fetchJson(url: string, token: string): Promise<unknown>
  /** POST to a gateway; the answer comes as it is written. Rejects with CommandFailure when none does. */
  post(url: URL, request: { headers: Record<string, string>; body: Uint8Array }): Promise<Posted>
  /** All of standard input. */
  input(): Promise<Uint8Array>
  /** As the shell has them. */
  variables: Readonly<Record<string, string | undefined>>
  /** Aborts when the user has enough (Ctrl-C). Before it is asked for, Ctrl-C ends the process as it does any. */
  enough(): AbortSignal
}

export interface Posted {
  status: number
  /** Names in lower case. */
  headers: Record<string, string>
  body: AsyncIterable<Uint8Array>
}

export interface Cluster {
  kubernetes: Transport
  /**
   * `pods/log` as it is written, until it ends or the signal aborts (both: clean ends). Throws ApiError when it is refused,
   * TransportError when no answer comes or it breaks off.
   */
  log(request: PodLogRequest): AsyncIterable<Uint8Array>
  /** That the kubeconfig's context names. */
  namespace: string
  /** The kubeconfig's own bearer token, when it has one. */
  token: string | undefined
}

export interface PodLogRequest {
  namespace: string
  pod: string
  query: Record<string, string>
  signal: AbortSignal
}

/** Where a command speaks. `out` is its result, `note` what people should know beside it. */
export interface Screen {
  readonly colour: boolean
  /** A terminal that can be drawn over; undefined for a file or a pipe. */
  readonly terminal: { columns: number; rows: number } | undefined
  out(text: string): void
  /** Part of a result, as it is: no line feed is added. */
  stream(part: Uint8Array | string): void
  note(text: string): void
  /** Shows these lines in place of those before. Only on a terminal. */
  draw(lines: readonly string[]): void
  /** Leaves what was drawn last on the screen, and the screen as it was. */
  endDrawing(): void
}
