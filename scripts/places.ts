/** What an installation under test runs on. */
export type Place =
  /** The embedded API, all in one process: what `npm start` gives. */
  | 'embedded'
  /** A real kube-apiserver, operator and gateway in one process. By `--place=kubernetes` only: `replicas` goes further. */
  | 'kubernetes'
  /** A real kube-apiserver, two operators and two gateways as processes of their own, and Redis. */
  | 'replicas'
  /** A whole cluster: Carrel by its Helm chart, two operators, two gateways, Redis, and sessions as pods. */
  | 'cluster'

/** What `npm test` runs on without `--place`. */
export const EACH_RUN = ['embedded', 'replicas', 'cluster'] as const satisfies Place[]

export const PLACES = ['embedded', 'kubernetes', 'replicas', 'cluster'] as const satisfies Place[]
