/**
 * `npm test`: the fast checks, what the tests need, then every test; those of a whole installation once on each place
 * (scripts/places.ts). `npm test -- walk 'test/kube/*.test.ts'` runs the files whose path has the word or matches the pattern,
 * without the checks; `--place=embedded` on one place only; `--kubernetes=1.35.4` on another kube-apiserver;
 * `--test-name-pattern=WORD`, `--test-skip-pattern`, `--test-timeout` and `--test-concurrency` mean what they mean to Node's
 * runner. A signal ends the tests too, and with them what they started. The last lines are one summary of all.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { spec, type TestEvent } from 'node:test/reporters'
import { openBed } from './bed.ts'
import { EACH_RUN, PLACES, type Place } from './places.ts'
import { placesPage } from './places-page.ts'
import { KUBERNETES_VERSION } from './rings/control-plane.ts'
import { prepareRings } from './rings/prepare.ts'
import { chosenFiles, phasesOf, runsOf } from './test-files.ts'
import { eventsOf, hasFailed, summaryOf, type Counts, type PhaseOptions } from './test-phases.ts'
import { runChecks } from './verify.ts'

const ROOT = dirname(import.meta.dirname)
const PAGE = join(ROOT, 'docs', 'reference', 'what-ran-where.md')
/** The longest test drives two installations through an npm install, beside a neighbour. */
const TEST_TIMEOUT_MS = 300_000
/** Most tests of an installation wait for something; more at once, and two cores are too few for their API servers. */
const CONCURRENCY = 2
/** What an installation on a place needs. */
const RINGS_OF: Record<Place, string[]> = {
  embedded: [],
  kubernetes: ['CARREL_TEST_CONTROL_PLANE'],
  replicas: ['CARREL_TEST_CONTROL_PLANE', 'CARREL_TEST_REDIS'],
  cluster: ['CARREL_TEST_CONTROL_PLANE', 'CARREL_TEST_NODE', 'CARREL_TEST_IMAGES', 'CARREL_TEST_HELM'],
}

const OWN_FLAGS = ['place', 'kubernetes', 'no-checks']
const RUNNER_FLAGS = ['test-name-pattern', 'test-skip-pattern', 'test-timeout', 'test-concurrency']

const given = process.argv.slice(2)
const words = given.filter((word) => !word.startsWith('-'))
const flags = readFlags()
const isWhole = words.length === 0 && [...flags.keys()].every((name) => name === 'no-checks' || name === 'kubernetes')
const concurrency = numberOf('test-concurrency', CONCURRENCY)
const timeoutMs = numberOf('test-timeout', TEST_TIMEOUT_MS)
const place = flags.get('place')?.at(-1)
if (place !== undefined && !PLACES.some((one) => one === place)) giveUp(`--place is one of ${PLACES.join(', ')}`)
const files = chosenFiles(ROOT, words)
if (files.length === 0) giveUp(`no test file has ${words.join(' or ')} in its path`)

if (isWhole && !flags.has('no-checks')) console.log('carrel: checks')
const checksPassed = !isWhole || flags.has('no-checks') || runChecks()
console.log('carrel: what the tests need')
const rings = prepareRings(flags.get('kubernetes')?.[0] ?? KUBERNETES_VERSION)

// A test may run this: what its runner says is of no meaning here.
delete process.env['NODE_TEST_CONTEXT']
const folder = mkdtempSync(join(tmpdir(), 'carrel-places-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort())

const runs = runsOf(ROOT, files, wantedPlaces(), folder)
const environment = { ...ownEnvironment(), ...rings }
const phases = phasesOf(ROOT, runs, concurrency, () => openBed(folder, environment))
console.log(`carrel: ${runs.length} test files`)
const options: PhaseOptions = {
  cwd: ROOT,
  env: environment,
  timeoutMs,
  namePatterns: flags.get('test-name-pattern') ?? [],
  skipPatterns: flags.get('test-skip-pattern') ?? [],
  signal: interrupted.signal,
}
const counts: Counts = new Map()
const page = placesPage()
await report(seen(eventsOf(phases, counts, options)))
const isGood = checksPassed && !hasFailed(counts) && !interrupted.signal.aborted
if (!checksPassed) console.error('carrel: the tests are above; the checks before them FAILED (see the top)')
if (interrupted.signal.aborted) console.error('carrel: interrupted')
process.exitCode = isGood && (!isWhole || keepPage(page.text())) ? 0 : 1
await report(summaryOf(counts))

/** As Node prints it: each test when it is over, the failed ones once more at the end. */
async function report(events: AsyncIterable<TestEvent> | Iterable<TestEvent>): Promise<void> {
  const reporter = new spec()
  reporter.pipe(process.stdout, { end: false })
  const ended = new Promise((resolve) => reporter.once('end', resolve))
  for await (const event of events) reporter.write(event)
  reporter.end()
  await ended
}

async function* seen(events: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  for await (const event of events) {
    page.add(event)
    yield event
  }
}

/** By name; a flag may be given several times. */
function readFlags(): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const flag of given.filter((word) => word.startsWith('-'))) {
    const [, name = '', value] = /^--([a-z-]+)(?:=(.*))?$/s.exec(flag) ?? []
    const isKnown = [...OWN_FLAGS, ...RUNNER_FLAGS].includes(name) && (value === undefined) === (name === 'no-checks')
    if (!isKnown)
      giveUp(
        `${flag} is no flag of the tests: give words of a file's path, --place=PLACE, --kubernetes=VERSION, or of Node's runner ` +
          RUNNER_FLAGS.map((one) => `--${one}=VALUE`).join(', '),
      )
    found.set(name, [...(found.get(name) ?? []), value ?? ''])
  }
  return found
}

function numberOf(flag: string, otherwise: number): number {
  const text = flags.get(flag)?.at(-1)
  const number = text === undefined ? otherwise : Number(text)
  if (!Number.isInteger(number) || number < 1) giveUp(`--${flag} is a number from 1 up, not ${text}`)
  return number
}

/** In CI all run, and say what is missing by failing; elsewhere those whose rings are there. */
function wantedPlaces(): Place[] {
  const wanted = place === undefined ? EACH_RUN : PLACES.filter((one) => one === place)
  return wanted.filter((one) => {
    const missing = RINGS_OF[one].filter((variable) => rings[variable] === undefined)
    if (missing.length > 0) console.error(`carrel: nothing runs on ${one}: see what is missing above`)
    return missing.length === 0 || process.env['CI'] !== undefined
  })
}

/** What the run has shown is written down; in CI it must be what is there already. */
function keepPage(written: string): boolean {
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

/** The shell's, but settings of an installation or of a runner above that it may hold, and with Node 24 and the packages' commands first. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^CARREL_(?!TEST_|CACHE)|^NODE_TEST_/.test(name))
  const path = [dirname(process.execPath), join(ROOT, 'node_modules', '.bin'), process.env['PATH']].join(delimiter)
  return { ...Object.fromEntries(kept), PATH: path }
}
