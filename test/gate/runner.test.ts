import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { eventually } from '../kit/eventually.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const RINGS = ['PYTHON', 'KUBECTL', 'CHROMIUM', 'NODE20', 'NPM11', 'NPM12', 'CONTROL_PLANE', 'NODE', 'IMAGES', 'HELM', 'REDIS', 'FAKETIME']

/** A checkout with these tests only. */
function checkout(t: TestContext, tests: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'carrel-runner-'))
  t.after(() => rmSync(root, { recursive: true }))
  const folders = ['bin', 'scripts', 'src', join('test', 'cluster', 'images')] // what makes images is there
  for (const folder of folders) cpSync(join(ROOT, folder), join(root, folder), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(root, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  for (const [file, text] of Object.entries(tests)) writeFileSync(join(root, 'test', file), text)
  return root
}

/** Nothing is prepared for these runs, and they are none of a runner above. */
const environment = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_TEST'))),
  ...Object.fromEntries(RINGS.map((ring) => [`CARREL_TEST_${ring}`, '/none'])),
}

const PASSES = "import { test } from 'node:test'\ntest('passes', () => {})\ntest('fails', () => { throw new Error('planted') })\n"
const hangs = (name: string): string => `import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
test('hangs', async () => {
  writeFileSync('${name}.pid', String(process.pid))
  await new Promise((resolve) => setTimeout(resolve, 600_000))
})
`
/** Writes down when it ran, and lasts until another has begun or it is sure that none will. */
const records = (name: string, mark = ''): string => `${mark}import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
test('${name} leaves its times', async () => {
  const from = Date.now()
  writeFileSync('${name}.began', '')
  while (Date.now() - from < 3_000 && readdirSync('.').filter((file) => file.endsWith('.began')).length < 2)
    await new Promise((resolve) => setTimeout(resolve, 10))
  writeFileSync('${name}.times', JSON.stringify([from, Date.now()]))
})
`

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} to the launcher alone ends every test's process`, async (t) => {
    const root = checkout(t, { 'one.test.ts': hangs('one'), 'two.test.ts': hangs('two') })
    const launcher = spawn(process.execPath, [join(root, 'bin', 'test.js'), 'one', 'two'], { env: environment, stdio: 'ignore' })
    t.after(() => void launcher.kill('SIGKILL'))
    const exited = new Promise((resolve) => launcher.once('exit', resolve))
    const pidOf = (name: string): Promise<number> => {
      const file = join(root, `${name}.pid`)
      const read = (): number | false => existsSync(file) && Number(readFileSync(file, 'utf8'))
      return eventually(read, { withinMs: 60_000, because: `test ${name} runs` })
    }
    const pids = [await pidOf('one'), await pidOf('two')]
    launcher.kill(signal)
    assert.notEqual(await exited, 0)
    await eventually(() => pids.every((pid) => !existsSync(`/proc/${pid}`)), {
      withinMs: 10_000,
      because: 'the processes of the tests are gone',
    })
  })
}

test('files run side by side, one that says Alone: by itself after them; all are one run with one summary, in the last lines', (t) => {
  const root = checkout(t, {
    'a.test.ts': records('a', '/** Alone: it wants all of the machine. */\n'),
    'b.test.ts': records('b'),
    'c.test.ts': records('c', '/** What only mentions Alone: runs beside others. */\n'),
    'd.test.ts': PASSES.replaceAll('passes', 'passes too'),
  })
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'bin', 'test.js'), 'test'], { env: environment, encoding: 'utf8' })
  const [a, b, c] = ['a', 'b', 'c'].map((name) => JSON.parse(readFileSync(join(root, `${name}.times`), 'utf8')) as [number, number])
  assert.ok(b![0] < c![1] && c![0] < b![1], 'b and c ran at the same time')
  assert.ok(a![0] >= b![1] && a![0] >= c![1], 'a began when both were over')
  assert.equal(status, 1)
  assert.equal(stdout.match(/^ℹ tests /gm)!.length, 1, stdout)
  assert.match(stdout, /^ℹ tests 5\nℹ suites 0\nℹ pass 4\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0\nℹ todo 0\nℹ duration_ms [\d.]+\n*$/m)
  assert.ok(stdout.trimEnd().split('\n').at(-1)!.startsWith('ℹ duration_ms'), stdout)
  assert.match(stdout, /✔ a leaves its times[\s\S]*failing tests:[\s\S]*✖ fails[\s\S]*planted/)
})

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
    ['--test-concurrency=none', /--test-concurrency is a number from 1 up, not none/],
    ['three', /no test file has three in its path/],
  ] as const) {
    const refused = run(parameter)
    assert.deepEqual([refused.status, refused.stdout], [1, ''])
    assert.match(refused.stderr, why)
  }
})
