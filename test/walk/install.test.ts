import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { eventually } from '../kit/eventually.ts'
import { barePath, freshClone, shellWith } from '../kit/fresh-clone.ts'
import { temporaryHome } from '../kit/temporary-home.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { onLaptop } from '../kit/place.ts'
import { needs } from '../kit/ring.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** From the install's end to the answer of the example. */
const ANSWER_WITHIN_MS = 10_000
const STOP_WITHIN_MS = 5_000
const INSTALL_WITHIN_MS = 300_000

/** As a terminal does it: to everybody at once. */
const ctrlC = (installation: LocalInstallation): Promise<number> => installation.stop('SIGINT')
/** To npm alone, which passes no signal on. */
const killNpm = async (installation: LocalInstallation): Promise<void> => void installation.child.kill('SIGTERM')

const machines = [
  {
    what: 'npm 11 on Node 20, with --ignore-scripts',
    npm: 'CARREL_TEST_NPM11',
    node: 'CARREL_TEST_NODE20',
    flags: ['--ignore-scripts'],
    stop: ctrlC,
  },
  { what: 'npm 12 on Node 24', npm: 'CARREL_TEST_NPM12', node: undefined, flags: [], stop: killNpm },
] as const

for (const { what, npm, node, flags, stop } of machines) {
  onLaptop(`a fresh clone, npm ci and npm start under ${what}: the example answers, with nothing but Node on the PATH`, async (t) => {
    const cli = needs(t, npm)
    const program = node ? needs(t, node) : process.execPath
    if (!cli || !program) return
    const clone = freshClone(t)
    const environment = shellWith(barePath(t, program))
    execFileSync(program, [cli, 'ci', '--prefer-offline', '--no-audit', '--no-fund', ...flags], {
      cwd: clone,
      env: environment,
      timeout: INSTALL_WITHIN_MS,
      stdio: 'pipe',
    })

    const home = temporaryHome('carrel home ')
    const startedAt = performance.now()
    const installation = await LocalInstallation.start(t, {
      home,
      cwd: clone,
      hello: true,
      wholeEnvironment: environment,
      command: [program, cli, 'start', '--'],
    })
    const tookMs = performance.now() - startedAt
    assert.match(installation.output, /answered +200 in \d+ ms: .*"greeting":"Hello, world!"/)
    assert.ok(tookMs <= ANSWER_WITHIN_MS, `it took ${Math.round(tookMs)} ms`)
    const agents = installation.agents()
    assert.ok(agents.length > 0)

    const stoppedAt = performance.now()
    await stop(installation)
    await eventually(() => !existsSync(join(home, 'lock')) && installation.agents().length === 0, {
      withinMs: STOP_WITHIN_MS - (performance.now() - stoppedAt),
      because: 'every process of it is gone, in 5 s',
    })
  })
}

onLaptop('npm test works from a path with a space in it, and takes words that choose among the test files', async (t) => {
  const cli = needs(t, 'CARREL_TEST_NPM12')
  if (!cli || !needs(t, 'CARREL_TEST_PYTHON')) return
  const clone = freshClone(t)
  const environment = { ...shellWith([join(process.execPath, '..'), process.env['PATH']].join(delimiter)), CI: 'true' }
  const npm = (...parameters: string[]): string =>
    execFileSync(process.execPath, [cli, ...parameters], {
      cwd: clone,
      env: environment,
      timeout: INSTALL_WITHIN_MS,
      encoding: 'utf8',
      stdio: 'pipe',
    })
  npm('ci', '--prefer-offline', '--no-audit', '--no-fund')
  const output = npm('test', '--', '--place=embedded', 'walk/same-session', 'test/sessions/*.test.ts', 'gate/house')
  assert.match(output, /^carrel: 4 test files$/m)
  assert.match(output, /^ℹ fail 0$/m)
  assert.match(output, /with boto3, in a shell full of another AWS set-up/)
})

onLaptop('the launcher says what to do when the packages are missing, or a Node that is new enough', async (t) => {
  const node20 = needs(t, 'CARREL_TEST_NODE20')
  if (!node20) return
  const folder = mkdtempSync(join(tmpdir(), 'carrel-launcher-'))
  t.after(() => rmSync(folder, { recursive: true }))
  cpSync(join(ROOT, 'bin'), join(folder, 'bin'), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  const start = (node: string): { status: number | null; stderr: string } =>
    spawnSync(node, [join(folder, 'bin', 'start.js')], { encoding: 'utf8' })
  const bare = start(process.execPath)
  assert.equal(bare.status, 1)
  assert.match(bare.stderr, /packages are not installed: run `npm ci` first/)

  mkdirSync(join(folder, 'node_modules', 'undici'), { recursive: true })
  const old = start(node20)
  assert.equal(old.status, 1)
  assert.match(old.stderr, /Node 24 or later is needed; this is v20\.[\s\S]*npm ci/)
})
