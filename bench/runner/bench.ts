/** What a bench is: cases that are measured in turn, round by round, beside a floor and a peer of the same run. */

/** Name of a metric → what one round measured. A metric that a case does not have is left out. */
export type Sample = Record<string, number>

export interface Metric {
  name: string
  unit: string
  /** Which way is better. */
  better: 'less' | 'more'
  /** What is wanted of the cases with the role `ours`. */
  target?: number
  /** What is wanted of their ratio to the floor. */
  targetToFloor?: number
}

export interface Case {
  name: string
  /** The API server that it runs on: cases are compared on the same one. */
  api: string
  /** `floor`: the least that any program must do. `peer`: what others use for it. */
  role: 'ours' | 'peer' | 'floor'
  measure(): Promise<Measured>
}

export interface Measured {
  sample: Sample
  /** Markdown, shown below the table when the case says more than numbers; of the last round. */
  details?: string
}

export interface Bench {
  /** `kube/list-and-watch`: `npm run bench -- kube` runs all below `kube`. */
  name: string
  about: string
  metrics: readonly Metric[]
  /** How often each case is measured when the user does not say. Default 5. */
  rounds?: number
  /** Variables of what it needs beside npm's packages (scripts/rings/prepare.ts). */
  rings?: readonly string[]
  /** Everything that is not measured: servers, objects. */
  prepare(settings: BenchSettings): Promise<Prepared>
}

export interface Prepared {
  cases: Case[]
  /** What a reader must know to judge the numbers. */
  notes: string[]
  stop(): Promise<void>
}

export type ApiName = 'embedded' | 'real'

export interface BenchSettings {
  rounds: number
  objects: number
  changes: number
  sessions: number
  /** How long a round of a case lasts that is measured by time. */
  seconds: number
  /** Measure nginx beside the gateway. */
  nginx: boolean
  apis: readonly ApiName[]
  /** Progress; not part of the result. */
  say(text: string): void
}
