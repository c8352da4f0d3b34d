/** `npm test`: the fast checks, what the tests need, then every test. `npm test -- walk` runs the test files whose path has "walk". */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { prepareRings } from './rings/prepare.ts'
import { runChecks } from './verify.ts'

const ROOT = dirname(import.meta.dirname)
const words = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const withChecks = !process.argv.includes('--no-checks') && words.length === 0

console.log('carrel: checks')
const checksPassed = !withChecks || runChecks()
console.log('carrel: what the tests need')
const rings = prepareRings()

const files = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts') && (words.length === 0 || words.some((word) => file.includes(word))))
  .toSorted()
  .map((file) => join('test', file))
if (files.length === 0) {
  console.error(`no test file has ${words.join(' or ')} in its path`)
  process.exit(1)
}
console.log(`carrel: ${files.length} test files`)
const path = `${join(ROOT, 'node_modules', '.bin')}${delimiter}${dirname(process.execPath)}${delimiter}${process.env['PATH']}`
const tests = spawnSync(process.execPath, ['--test', '--test-reporter=spec', '--test-concurrency=2', '--test-timeout=600000', ...files], {
  cwd: ROOT,
  stdio: 'inherit',
  env: { ...process.env, ...rings, PATH: path },
})
if (!checksPassed) console.error('carrel: the tests are above; the checks before them FAILED (see the top)')
process.exit(checksPassed ? (tests.status ?? 1) : 1)
