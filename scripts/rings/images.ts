import { IMAGE_NAMES, imageArchive } from '../../test/cluster/images/archives.ts'
import { CACHE } from './cache.ts'

/** Builds the images that the tests' cluster runs, each step once; the folder that keeps them. */
export function prepareImages(): string {
  if (process.getuid?.() !== 0) throw new Error('images are built by mounting their layers, which only root may')
  for (const name of IMAGE_NAMES) imageArchive(name)
  return CACHE
}
