/** All benches, in the order in which they run. */
import { coldSession } from './cold/session.ts'
import { checks } from './gateway/checks.ts'
import { connections } from './gateway/connections.ts'
import { owners } from './gateway/owners.ts'
import { throughputs } from './gateway/throughput.ts'
import { listAndWatch } from './kube/list-and-watch.ts'
import { sessionWrites } from './kube/session-writes.ts'
import type { Bench } from './runner/bench.ts'

export const BENCHES: readonly Bench[] = [listAndWatch, sessionWrites, ...throughputs, checks, connections, owners, coldSession]
