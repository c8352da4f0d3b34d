/** Adapter: what processes have computed so far, by /proc. */
import { readFileSync } from 'node:fs'

/** Linux says clock ticks of 10 ms to every program, whatever its own are (USER_HZ). */
const TICKS_PER_SECOND = 100

/** CPU seconds of these processes with all their threads, in user and system mode; without their children. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const [user, system] = [fields[11], fields[12]].map(Number)
    return sum + (user! + system!) / TICKS_PER_SECOND
  }, 0)
}
