import { delimiter, join } from 'node:path'
import type { PlacedPod } from '../process-host.ts'
import type { PodPlaces } from './places.ts'

/** By these two a pod's processes are found, however they were forked and whoever forked them. */
export const POD_UID_VARIABLE = 'CARREL_POD_UID'
export const POD_HOME_VARIABLE = 'CARREL_POD_HOME'
/** Where the shims move wildcard binds to. */
const POD_ADDRESS_VARIABLE = 'CARREL_POD_IP'

/** What an agent may know of the shell that started the installation. Never AWS_*, keys, tokens, or anything unnamed. */
const FROM_SHELL = ['PATH', 'LANG', 'LC_ALL', 'TZ'] as const

export interface Surroundings {
  /** The environment of the installation's own process. */
  shell: Readonly<Record<string, string | undefined>>
  /** The installation's folder. */
  home: string
  /** Put before PATH, first first: the virtual environment's programs, and this Node. */
  programs: readonly string[]
}

/**
 * The whole environment of an agent (contract 1.6). What the container sets wins, except that the shims come before the
 * user's own PYTHONPATH and NODE_OPTIONS, and that the marks by which the pod is found stay.
 */
export function environmentOf(pod: PlacedPod, places: PodPlaces, { shell, home, programs }: Surroundings): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const name of FROM_SHELL) if (shell[name]) environment[name] = shell[name]
  Object.assign(environment, {
    PATH: [...programs, environment['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'].join(delimiter),
    HOME: places.home,
    TMPDIR: places.temporary,
    DOCKER_CONTAINER: '1',
    AWS_REGION: pod.region,
    AWS_DEFAULT_REGION: pod.region,
    PYTHONUNBUFFERED: '1',
    ...pod.environment,
  })
  const { PYTHONPATH: pythonPath, NODE_OPTIONS: nodeOptions } = pod.environment
  environment['PYTHONPATH'] = [join(places.shim, 'python'), ...(pythonPath ? [pythonPath] : [])].join(delimiter)
  environment['NODE_OPTIONS'] = [`--require ${quoted(join(places.shim, 'node', 'bind.cjs'))}`, ...(nodeOptions ? [nodeOptions] : [])].join(
    ' ',
  )
  environment[POD_UID_VARIABLE] = pod.uid
  environment[POD_HOME_VARIABLE] = home
  environment[POD_ADDRESS_VARIABLE] = pod.address
  return environment
}

/** As Node reads NODE_OPTIONS: in double quotes, a backslash escapes. */
function quoted(path: string): string {
  return `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
