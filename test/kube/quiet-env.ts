import type { Env } from '../../src/env/env.ts'
import { seededRandom, VirtualClock } from '../../src/env/virtual.ts'

/** An Env on virtual time that keeps what was logged. */
export function virtualEnv(seed: number | string = 1): Env & { clock: VirtualClock; logged: string[] } {
  const random = seededRandom(seed)
  const logged: string[] = []
  const keep = (_fields: object, message: string): void => void logged.push(message)
  return { clock: new VirtualClock(random), random, logged, log: { debug: keep, info: keep, warn: keep, error: keep } }
}
