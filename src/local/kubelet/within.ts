import { sleep, type Clock } from '../../env/clock.ts'

/** Waits for the work, but no longer than `limitMs`; leaves no timer behind. The work's outcome is nobody's concern. */
export async function within(clock: Clock, limitMs: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController()
  await Promise.race([work.catch(() => {}), sleep(clock, limitMs, over.signal)])
  over.abort()
}
