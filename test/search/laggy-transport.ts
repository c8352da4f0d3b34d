import { sleep, type Clock } from '../../src/env/clock.ts'
import type { Random } from '../../src/env/random.ts'
import type { Transport, WatchEvent, WatchRequest } from '../../src/kube/transport.ts'

/** Request and answer each take a moment; now and then a watch is far behind. All drawn from the seed. */
export function laggyTransport(inner: Transport, clock: Clock, random: Random): Transport {
  const moment = (): Promise<void> => sleep(clock, 0.1 + random.fraction() * 4)
  const lag = (): Promise<void> => sleep(clock, random.fraction() < 0.1 ? random.fraction() * 4_000 : random.fraction() * 8)

  async function* delayed(request: WatchRequest): AsyncGenerator<WatchEvent> {
    await moment()
    for await (const event of inner.watch(request)) {
      await lag()
      if (request.signal?.aborted) return
      yield event
    }
  }

  return {
    async request(request) {
      await moment()
      const response = await inner.request(request)
      await moment()
      return response
    },
    watch: delayed,
  }
}
