import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import type { Random } from './random.ts'

/**
 * The doors of a process to everything that is not computation. Operator, gateway, API server and kubelet each extend
 * it with the ports they use (transport, activity, dial, ...). Nothing else of theirs may read time, draw chance, or do
 * I/O; the lint `env` enforces it, and in a search the ambient ones throw.
 */
export interface Env {
  clock: Clock
  random: Random
  log: Log
}
