/**
 * `npm test`: the fast checks, what the tests need, then every test. `npm test -- walk 'test/kube/*.test.ts'` runs the
 * files whose path has the word or matches the pattern, without the checks; `--test-name-pattern=WORD` and other flags of
 * Node's runner go to it. A signal ends the tests too, and with them what they started.
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { delimiter, dirname, join, matchesGlob } from 'node:path'
import { prepareRings } from './rings/prepare.ts'
import { runChecks } from './verify.ts'

const ROOT = dirname(import.meta.dirname)
/** The longest test drives two installations through an npm install. */
const TEST_TIMEOUT_MS = 300_000
/** One file at a time: some tests take port 8080 of every address, which every agent of the machine needs. */
const CONCURRENCY = 1

const words = process.argv.slice(2).filter((word) => !word.startsWith('-'))
const flags = process.argv.slice(2).filter((word) => word.startsWith('-') && word !== '--no-checks')
const unknown = flags.find((flag) => !/^--test-[a-z-]+=/.test(flag))
if (unknown !== undefined) {
  console.error(`${unknown} is no flag of the tests: give words of a file's path, or a flag of Node's runner as --test-name-pattern=WORD`)
  process.exit(1)
}
const withChecks = !process.argv.includes('--no-checks') && words.length + flags.length === 0

const files = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
  .map((file) => join('test', file))
  .filter(
    (file) => file.endsWith('.test.ts') && (words.length === 0 || words.some((word) => file.includes(word) || matchesGlob(file, word))),
  )
  .toSorted()
if (files.length === 0) {
  console.error(`no test file has ${words.join(' or ')} in its path`)
  process.exit(1)
}

if (withChecks) console.log('carrel: checks')
const checksPassed = !withChecks || runChecks()
console.log('carrel: what the tests need')
const rings = prepareRings()

console.log(`carrel: ${files.length} test files`)
const tests = spawn(
  process.execPath,
  ['--test', '--test-reporter=spec', `--test-concurrency=${CONCURRENCY}`, `--test-timeout=${TEST_TIMEOUT_MS}`, ...flags, ...files],
  { cwd: ROOT, stdio: 'inherit', env: { ...ownEnvironment(), ...rings } },
)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => tests.kill('SIGTERM'))
tests.on('exit', (status) => {
  if (!checksPassed) console.error('carrel: the tests are above; the checks before them FAILED (see the top)')
  process.exitCode = checksPassed ? (status ?? 1) : 1
})

/** The shell's, but settings of an installation that it may hold, and with Node 24 and the packages' commands first. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^CARREL_(?!TEST_|CACHE)/.test(name))
  const path = [dirname(process.execPath), join(ROOT, 'node_modules', '.bin'), process.env['PATH']].join(delimiter)
  return { ...Object.fromEntries(kept), PATH: path }
}
