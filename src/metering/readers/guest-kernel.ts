/** Whether the running kernel is one pod's own. Pure; when in doubt it is not. */

/**
 * Words that Kata puts on its guest's kernel command line and nobody on a node's: what systemd starts there, parameters of Kata's
 * agent, or the agent as the first process.
 */
const KATA_WORD = /^(systemd\.unit=kata-containers\.target|agent\.[a-z_]+(=\S*)?|(rd)?init=\S*\/kata-agent)$/

/**
 * A pod's own kernel is started for it, seconds before its containers. One that is older also runs others: a node that is itself a
 * Kata guest, say.
 */
const LONGEST_BEFORE_SECONDS = 300

export interface KernelSigns {
  /** /proc/cmdline */
  commandLine: string
  /** /proc/self/stat, proc(5) */
  ownStat: string
  /** Of its times. */
  ticksPerSecond: number
}

/** Why this kernel's figures are not the pod's; undefined when they are. */
export function guestFault({ commandLine, ownStat, ticksPerSecond }: KernelSigns): string | undefined {
  const isKata = commandLine
    .trim()
    .split(/\s+/)
    .some((word) => KATA_WORD.test(word))
  if (!isKata) return 'the pod shares its kernel with the node (no Kata guest): from inside, only the node as a whole could be read'
  const startTicks = Number(ownStat.slice(ownStat.lastIndexOf(')') + 2).split(' ')[22 - 3])
  const beforeSeconds = startTicks / ticksPerSecond
  if (beforeSeconds <= LONGEST_BEFORE_SECONDS) return undefined
  return `the kernel ran ${Math.floor(beforeSeconds)} s before this pod's meter: it may run other pods too`
}
