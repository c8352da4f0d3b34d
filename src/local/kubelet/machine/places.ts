import { join } from 'node:path'

/** Where a pod's things are below the installation's folder. */
export interface PodPlaces {
  /** Everything but the log. Its package.json keeps the module type of the original code. */
  root: string
  /** The private copy: the agent's working directory. */
  code: string
  home: string
  temporary: string
  /** The bind shims. A copy of its own, so that no agent can change another's. */
  shim: string
}

export function podsDirectory(home: string): string {
  return join(home, 'pods')
}

export function placesOf(home: string, podUID: string): PodPlaces {
  const root = join(podsDirectory(home), podUID)
  return { root, code: join(root, 'code'), home: join(root, 'home'), temporary: join(root, 'tmp'), shim: join(root, 'shim') }
}
