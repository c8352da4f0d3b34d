import { setTimeout as wait } from 'node:timers/promises'

/** Asks again until the answer is neither false nor undefined; throws with `because` and the last error otherwise. */
export async function eventually<Value>(
  ask: () => Value | Promise<Value>,
  options: { withinMs: number; because: string; everyMs?: number },
): Promise<NonNullable<Exclude<Value, false>>> {
  const deadline = performance.now() + options.withinMs
  let last: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false && answer !== null) return answer as NonNullable<Exclude<Value, false>>
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline) throw new Error(`not within ${options.withinMs} ms: ${options.because}`, { cause: last })
    await wait(options.everyMs ?? 50)
  }
}
