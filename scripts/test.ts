/**
 * `npm test`: the fast checks, what the tests need, then every test; those of a whole installation once on each place
 * (scripts/places.ts). `npm test -- walk 'test/kube/*.test.ts'` runs the files whose path has the word or matches the pattern,
 * without the checks; `--place=embedded` on one place only; `--kubernetes=1.35.4` on another kube-apiserver;
 * `--test-name-pattern=WORD` and other flags of Node's runner go to it. A signal ends the tests too, and with them what they
 * started.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join, matchesGlob } from 'node:path'
import { pathToFileURL } from 'node:url'
import { PLACES, type Place } from './places.ts'
import { KUBERNETES_VERSION } from './rings/control-plane.ts'
import { prepareRings } from './rings/prepare.ts'
import { runChecks } from './verify.ts'

const ROOT = dirname(import.meta.dirname)
const PAGE = join(ROOT, 'docs', 'reference', 'what-ran-where.md')
/** The longest test drives two installations through an npm install. */
const TEST_TIMEOUT_MS = 300_000
/** One file at a time: some tests take port 8080 of every address, which every agent of the machine needs. */
const CONCURRENCY = 1
/** What an installation on a place needs. */
const RINGS_OF: Record<Place, string[]> = {
  embedded: [],
  kubernetes: ['CARREL_TEST_CONTROL_PLANE'],
  replicas: ['CARREL_TEST_CONTROL_PLANE', 'CARREL_TEST_REDIS'],
}

const { words, flags, own } = readArguments(process.argv.slice(2))
const isWhole = words.length + flags.length === 0 && own.place === undefined
const files = chosenFiles()

if (isWhole && !own.noChecks) console.log('carrel: checks')
const checksPassed = !isWhole || own.noChecks || runChecks()
console.log('carrel: what the tests need')
const rings = prepareRings(own.kubernetes)

const folder = mkdtempSync(join(tmpdir(), 'carrel-places-'))
const page = join(folder, 'page.md')
const placed = placedFiles()
const all = [...(own.place === undefined || own.place === 'embedded' ? files : []), ...placed]
console.log(`carrel: ${all.length} test files`)
const reporters = [
  ['spec', 'stdout'],
  [join(ROOT, 'scripts', 'places-reporter.ts'), page],
]
const tests = spawn(
  process.execPath,
  [
    '--test',
    ...reporters.flatMap(([reporter, destination]) => [`--test-reporter=${reporter}`, `--test-reporter-destination=${destination}`]),
    `--test-concurrency=${CONCURRENCY}`,
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    ...flags,
    ...all,
  ],
  { cwd: ROOT, stdio: 'inherit', env: { ...ownEnvironment(), ...rings } },
)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => tests.kill('SIGTERM'))
tests.on('exit', (status) => {
  const pageIsCurrent = !isWhole || status !== 0 || keepPage()
  rmSync(folder, { recursive: true })
  if (!checksPassed) console.error('carrel: the tests are above; the checks before them FAILED (see the top)')
  process.exitCode = checksPassed && pageIsCurrent ? (status ?? 1) : 1
})

function readArguments(given: string[]): {
  words: string[]
  flags: string[]
  own: { place: Place | undefined; kubernetes: string; noChecks: boolean }
} {
  const valueOf = (flag: string): string | undefined => given.find((word) => word.startsWith(`--${flag}=`))?.slice(flag.length + 3)
  const place = PLACES.find((name) => name === valueOf('place'))
  if (valueOf('place') !== undefined && place === undefined) giveUp(`--place is one of ${PLACES.join(', ')}`)
  const isOwn = (word: string): boolean => word === '--no-checks' || word.startsWith('--place=') || word.startsWith('--kubernetes=')
  const rest = given.filter((word) => word.startsWith('-') && !isOwn(word))
  const unknown = rest.find((flag) => !/^--test-[a-z-]+=/.test(flag))
  if (unknown !== undefined)
    giveUp(
      `${unknown} is no flag of the tests: give words of a file's path, --place=PLACE, or a flag of Node's runner as --test-name-pattern=WORD`,
    )
  return {
    words: given.filter((word) => !word.startsWith('-')),
    flags: rest,
    own: { place, kubernetes: valueOf('kubernetes') ?? KUBERNETES_VERSION, noChecks: given.includes('--no-checks') },
  }
}

function chosenFiles(): string[] {
  const found = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .map((file) => join('test', file))
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word) || matchesGlob(file, word)))
    .toSorted()
  if (found.length === 0) giveUp(`no test file has ${words.join(' or ')} in its path`)
  return found
}

/** The same files once more for each other place, each through a file that names the place first. */
function placedFiles(): string[] {
  const sharing = files.filter((file) => /\beverywhere\(/.test(readFileSync(join(ROOT, file), 'utf8')))
  const places = PLACES.filter((place) => place !== 'embedded' && (own.place === undefined || own.place === place))
  return places.filter(isPossible).flatMap((place) =>
    sharing.map((file) => {
      const through = join(folder, place, basename(file))
      mkdirSync(dirname(through), { recursive: true })
      const original = pathToFileURL(join(ROOT, file)).href
      writeFileSync(through, `process.env['CARREL_TEST_PLACE'] = '${place}'\nawait import('${original}')\n`)
      return through
    }),
  )
}

/** In CI its tests run, and say what is missing by failing. */
function isPossible(place: Place): boolean {
  const missing = RINGS_OF[place].filter((variable) => rings[variable] === undefined)
  if (missing.length > 0) console.error(`carrel: nothing runs on ${place}: see what is missing above`)
  return missing.length === 0 || process.env['CI'] !== undefined
}

/** What the run has shown is written down; in CI it must be what is there already. */
function keepPage(): boolean {
  const written = readFileSync(page, 'utf8')
  let before = ''
  try {
    before = readFileSync(PAGE, 'utf8')
  } catch {
    // the first run writes the first page
  }
  if (before === written) return true
  writeFileSync(PAGE, written)
  if (process.env['CI'] === undefined) return true
  console.error('carrel: docs/reference/what-ran-where.md does not say what this run has shown: run npm test and commit the page')
  return false
}

function giveUp(message: string): never {
  console.error(message)
  process.exit(1)
}

/** The shell's, but settings of an installation that it may hold, and with Node 24 and the packages' commands first. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^CARREL_(?!TEST_|CACHE)/.test(name))
  const path = [dirname(process.execPath), join(ROOT, 'node_modules', '.bin'), process.env['PATH']].join(delimiter)
  return { ...Object.fromEntries(kept), PATH: path }
}
