/**
 * Which test files run, and what beside what. Files run side by side unless their head comment begins with `Alone:` and says why
 * the file needs the machine for itself (it takes a port of every address, or it judges times that a neighbour would lengthen).
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, matchesGlob } from 'node:path'
import { pathToFileURL } from 'node:url'
import { PLACES, type Place } from './places.ts'
import type { Phase } from './test-phases.ts'

/** One file on one place. */
export interface Run {
  /** What the runner is given. */
  path: string
  place: Place
  isAlone: boolean
}

/** Test files of the checkout, those that have one of the words in their path or match it; without words all. */
export function chosenFiles(root: string, words: readonly string[]): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .map((file) => join('test', file))
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word) || matchesGlob(file, word)))
    .toSorted()
}

/** Each file on the embedded place; those of an installation on every other too, each through a file in `folder` that names it first. */
export function runsOf(root: string, files: readonly string[], places: readonly Place[], folder: string): Run[] {
  return PLACES.filter((place) => places.includes(place)).flatMap((place) =>
    files.flatMap((file): Run[] => {
      const text = readFileSync(join(root, file), 'utf8')
      const isAlone = needsTheMachine(text)
      if (place === 'embedded') return isOfCluster(text) ? [] : [{ path: join(root, file), place, isAlone }]
      if (!(place === 'cluster' ? /\b(everywhere|onCluster)\(/ : /\b(everywhere|onProcesses)\(/).test(text)) return []
      const path = join(folder, place, basename(file))
      mkdirSync(dirname(path), { recursive: true })
      const original = pathToFileURL(join(root, file)).href
      writeFileSync(path, `process.env['CARREL_TEST_PLACE'] = '${place}'\nawait import('${original}')\n`)
      return [{ path, place, isAlone }]
    }),
  )
}

/** Side by side first, the long ones (of several processes) at the beginning so that none is left over at the end; then those alone, then those on the cluster. */
export function phasesOf(root: string, runs: readonly Run[], concurrency: number, openCluster: NonNullable<Phase['open']>): Phase[] {
  const isLong = ({ path, place }: Run): boolean => place === 'replicas' || path.startsWith(join(root, 'test', 'replicas'))
  const lengthOf = (run: Run): number => (isLong(run) ? 2 : run.place === 'kubernetes' ? 1 : 0)
  const onCluster = runs.filter(({ place }) => place === 'cluster')
  const others = runs.filter(({ place }) => place !== 'cluster')
  const together = others.filter(({ isAlone }) => !isAlone).toSorted((a, b) => lengthOf(b) - lengthOf(a))
  const alone = others.filter(({ isAlone }) => isAlone)
  return [
    { files: together.map(({ path }) => path), concurrency },
    { files: alone.map(({ path }) => path), concurrency: 1 },
    // They have one cluster, one after the other.
    { files: onCluster.map(({ path }) => path), concurrency: 1, open: openCluster },
  ]
}

/** All its tests are about pods, nodes or the chart. */
const isOfCluster = (text: string): boolean => /\bonCluster\(/.test(text) && !/\b(test|everywhere|onProcesses|onLaptop)\(/.test(text)

export const needsTheMachine = (text: string): boolean => /^\/\*\*\s+(\* )?Alone: /.test(text)
