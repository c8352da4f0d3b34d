import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { LocalInstallation } from '../kit/local-installation.ts'
import { lendRedis } from '../kit/redises.ts'
import { needs } from '../kit/ring.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** What a package would hold: dist/ in place of src/. */
function builtCopy(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'carrel-built-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const { status, stderr, stdout } = spawnSync(process.execPath, [join(ROOT, 'scripts', 'build.ts'), join(folder, 'dist')], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr + stdout)
  for (const name of ['bin', 'examples', 'package.json']) cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

test('what npm run build makes needs no TypeScript: each process runs from it, and npm start with replicas answers', async (t) => {
  if (!needs(t, 'CARREL_TEST_REDIS')) return
  const folder = builtCopy(t)
  assert.ok(!existsSync(join(folder, 'src')))
  for (const [file, expected] of [
    ['bin/carrel.js', /Usage: carrel /],
    ['dist/operator/main.js', /Usage: carrel-operator/],
    ['dist/gateway/main.js', /Usage: carrel-gateway/],
    ['bin/start.js', /Usage: npm start/],
  ] as const) {
    const { stdout, status } = spawnSync(process.execPath, [join(folder, file), '--help'], { encoding: 'utf8', timeout: 60_000 })
    assert.match(stdout, expected)
    assert.equal(status, 0, file)
  }
  const redis = await lendRedis()
  const options = { command: [process.execPath, join(folder, 'bin', 'start.js')], cwd: folder, hello: true, place: 'embedded' as const }
  const installation = await LocalInstallation.start(t, { ...options, surroundings: { redis } })
  const { operators } = JSON.parse(readFileSync(join(installation.home, 'replicas.json'), 'utf8')) as { operators: { pid: number }[] }
  const commands = operators.map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
  assert.ok(
    commands.length === 2 && commands.every((command) => command.includes(join(folder, 'dist', 'operator', 'main.js'))),
    commands.join('\n'),
  )
})
