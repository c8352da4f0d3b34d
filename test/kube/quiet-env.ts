import type { Env } from '../../src/env/env.ts'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { seededRandom, VirtualClock } from '../../src/env/virtual.ts'

/** An Env on virtual time that keeps what was logged. */
export function virtualEnv(seed: number | string = 1): Env & { clock: VirtualClock; logged: string[] } {
  const random = seededRandom(seed)
  const logged: string[] = []
  const keep = (_fields: object, message: string): void => void logged.push(message)
  return { clock: new VirtualClock(random), random, logged, log: { debug: keep, info: keep, warn: keep, error: keep } }
}

const quiet = (): void => {}
export const SILENT = { debug: quiet, info: quiet, warn: quiet, error: quiet }

/** The machine's own clock and chance. */
export const ENV: Env = { clock: systemClock, random: systemRandom, log: SILENT }

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })))
}
