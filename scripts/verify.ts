/** The one gate (`npm run verify`), the same as in CI: each step says what it did, and on failure what to do. */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { performance } from 'node:perf_hooks'

const ROOT = dirname(import.meta.dirname)
const BIN = join(ROOT, 'node_modules', '.bin')

interface Step {
  name: string
  command: string[]
  /** What to do when it fails. */
  remedy: string
}

const SOURCES = ['src', 'test', 'scripts', 'examples', 'bench']

/** Everything but the tests; scripts/test.ts runs these first. */
export const CHECKS: Step[] = [
  { name: 'format', command: [join(BIN, 'oxfmt'), '--check', ...SOURCES], remedy: 'npm run format' },
  { name: 'lint', command: [join(BIN, 'oxlint'), '--type-aware', '--deny-warnings', ...SOURCES], remedy: 'mend what it names' },
  {
    name: 'house',
    command: [process.execPath, join(ROOT, 'scripts', 'lint-house.ts')],
    remedy: 'the rules are in docs/architecture.md, the tables in scripts/house',
  },
  { name: 'types', command: [join(BIN, 'tsc'), '-p', ROOT], remedy: 'mend what it names' },
  { name: 'generated', command: [process.execPath, join(ROOT, 'scripts', 'generate.ts'), '--check'], remedy: 'npm run generate' },
  {
    name: 'links',
    command: [process.execPath, join(ROOT, 'scripts', 'check-links.ts')],
    remedy: 'mend the link, or the heading that it names',
  },
  { name: 'unused', command: [join(BIN, 'knip'), '--no-progress'], remedy: 'delete what nothing uses' },
]

/** Runs the steps in order; answers whether all passed. */
export function runChecks(): boolean {
  return CHECKS.map(({ name, command, remedy }) => {
    const startedAtMs = performance.now()
    const result = spawnSync(command[0]!, command.slice(1), { cwd: ROOT, encoding: 'utf8' })
    const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1)
    const passed = result.status === 0
    console.log(`${passed ? 'ok  ' : 'FAIL'} ${name.padEnd(10)} ${seconds} s`)
    if (!passed) console.log(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}\n     ${name}: ${remedy}\n`)
    return passed
  }).every(Boolean)
}

if (process.argv[1] === import.meta.filename) {
  if (!runChecks()) process.exit(1)
  const tests = spawnSync(process.execPath, [join(ROOT, 'scripts', 'test.ts'), '--no-checks', ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: 'inherit',
  })
  process.exit(tests.status ?? 1)
}
