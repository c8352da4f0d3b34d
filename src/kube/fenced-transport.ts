import { NotLeadingError } from './errors.ts'
import type { Transport } from './transport.ts'

/** Who can say whether this process may write at this moment. A Candidate is one. */
export interface Fence {
  isLeader(): boolean
}

/**
 * The same transport, but only the leader writes through it: anything but a GET is refused here, unsent (NotLeadingError),
 * once `isLeader()` says no. So a process that was paused past its Lease does not carry out, on waking, what it had decided
 * before. Reads and watches pass always: a standby keeps its stores warm by them.
 *
 * What it cannot stop is a write that is on its way already; against that, every write carries a precondition or a name
 * that is a lock. The Lease itself is renewed over the transport below.
 */
export function fencedTransport(inner: Transport, fence: Fence): Transport {
  return {
    async request(request) {
      if (request.method !== 'GET' && !fence.isLeader()) throw new NotLeadingError(`${request.method} ${request.path}`)
      return inner.request(request)
    },
    watch: (request) => inner.watch(request),
  }
}
