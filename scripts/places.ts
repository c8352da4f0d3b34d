/** What an installation under test runs on. */
export type Place =
  /** The embedded API, all in one process: what `npm start` gives. */
  | 'embedded'
  /** A real kube-apiserver, operator and gateway in one process. */
  | 'kubernetes'
  /** A real kube-apiserver, two operators and two gateways as processes of their own, and Redis. */
  | 'replicas'

export const PLACES = ['embedded', 'kubernetes', 'replicas'] as const satisfies Place[]
