import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { eventually } from '../kit/eventually.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const RINGS = ['PYTHON', 'KUBECTL', 'CHROMIUM', 'NODE20', 'NPM11', 'NPM12', 'CONTROL_PLANE', 'REDIS', 'FAKETIME']

/** A checkout with these tests only. */
function checkout(t: TestContext, tests: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'carrel-runner-'))
  t.after(() => rmSync(root, { recursive: true }))
  for (const folder of ['bin', 'scripts', 'src']) cpSync(join(ROOT, folder), join(root, folder), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(root, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  mkdirSync(join(root, 'test'))
  for (const [file, text] of Object.entries(tests)) writeFileSync(join(root, 'test', file), text)
  return root
}

/** Nothing is prepared for these runs, and they are none of a runner above. */
const environment = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_TEST'))),
  ...Object.fromEntries(RINGS.map((ring) => [`CARREL_TEST_${ring}`, '/none'])),
}

const PASSES = "import { test } from 'node:test'\ntest('passes', () => {})\ntest('fails', () => { throw new Error('planted') })\n"
const HANGS = `import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
test('hangs', async () => {
  writeFileSync('pid', String(process.pid))
  await new Promise((resolve) => setTimeout(resolve, 600_000))
})
`

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} to the launcher alone ends every test's process`, async (t) => {
    const root = checkout(t, { 'hangs.test.ts': HANGS })
    const launcher = spawn(process.execPath, [join(root, 'bin', 'test.js'), 'hangs'], { env: environment, stdio: 'ignore' })
    t.after(() => void launcher.kill('SIGKILL'))
    const exited = new Promise((resolve) => launcher.once('exit', resolve))
    const file = join(root, 'pid')
    const pid = await eventually(() => existsSync(file) && Number(readFileSync(file, 'utf8')), {
      withinMs: 60_000,
      because: 'the test runs',
    })
    launcher.kill(signal)
    assert.notEqual(await exited, 0)
    await eventually(() => !existsSync(`/proc/${pid}`), { withinMs: 10_000, because: 'the process of the test is gone' })
  })
}

test('words choose files, flags of the runner go to it, its failure is the status, and other flags are refused', (t) => {
  const root = checkout(t, { 'one.test.ts': PASSES, 'two.test.ts': PASSES })
  const run = (...parameters: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [join(root, 'bin', 'test.js'), ...parameters], { env: environment, encoding: 'utf8' })
  const both = run('one', 'two')
  assert.deepEqual([both.status, /^carrel: 2 test files$/m.test(both.stdout), /^ℹ fail 2$/m.test(both.stdout)], [1, true, true])
  const chosen = run('one', '--test-name-pattern=passes')
  assert.deepEqual([chosen.status, /^ℹ pass 1$/m.test(chosen.stdout), /^ℹ fail 0$/m.test(chosen.stdout)], [0, true, true], chosen.stdout)
  for (const [parameter, why] of [
    ['--grep=passes', /--grep=passes is no flag of the tests: .*--test-name-pattern/],
    ['three', /no test file has three in its path/],
  ] as const) {
    const refused = run(parameter)
    assert.deepEqual([refused.status, refused.stdout], [1, ''])
    assert.match(refused.stderr, why)
  }
})
