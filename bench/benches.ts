/** All benches, in the order in which they run. */
import { listAndWatch } from './kube/list-and-watch.ts'
import { sessionWrites } from './kube/session-writes.ts'
import type { Bench } from './runner/bench.ts'

export const BENCHES: readonly Bench[] = [listAndWatch, sessionWrites]
