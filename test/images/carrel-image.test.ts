import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { imageArchive, imageOf, referenceOf } from '../cluster/images/archives.ts'
import { baseImage } from '../cluster/images/bases.ts'
import { needs, needsRoot } from '../kit/ring.ts'
import { contentOf, filesAdded, readArchive, runInside } from './inside.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const MOST_BYTES = 100_000_000
const MAPS_OF_CODE = /\.(map|d\.ts|d\.mts|d\.cts)$/

const canRun = (t: TestContext): boolean => needsRoot(t) && needs(t, 'CARREL_TEST_IMAGES') !== undefined
const base = (): number => baseImage('node:24-bookworm-slim').layers.length
const packageJson = (): { version: string; devDependencies: object; optionalDependencies: object } =>
  JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

test("Carrel's image is named by the package's version, runs as a number that is not root, in /carrel", (t) => {
  if (!canRun(t)) return
  const { manifests, bytes } = readArchive(imageArchive('carrel'))
  const { name, config } = manifests[0]!
  assert.equal(name, `docker.io/carrel/carrel:${packageJson().version}`)
  assert.equal(config.architecture, { x64: 'amd64', arm64: 'arm64' }[process.arch as 'x64'])
  const { User, WorkingDir, Entrypoint, Cmd, Env } = config.config
  assert.deepEqual(
    { User, WorkingDir, Entrypoint, Cmd },
    {
      User: '65532:65532',
      WorkingDir: '/carrel',
      Entrypoint: undefined,
      Cmd: ['node', '/carrel/bin/carrel.js', '--help'],
    },
  )
  const names = (Env as string[]).map((pair) => pair.split('=')[0])
  assert.deepEqual(names.toSorted(), ['NODE_ENV', 'NODE_VERSION', 'PATH'])
  t.diagnostic(`${Math.round(bytes / 1e6)} MB compressed`)
  assert.ok(bytes < MOST_BYTES, `the image has ${bytes} bytes`)
})

test("Carrel's image holds the built code and the packages it needs, and nothing else", (t) => {
  if (!canRun(t)) return
  const files = filesAdded(imageOf('carrel'), base())
  const paths = files.map(({ path }) => path)
  const tops = new Set(paths.map((path) => path.split('/').slice(0, 3).join('/')))
  assert.deepEqual([...tops].toSorted(), ['/carrel/LICENSE', '/carrel/bin', '/carrel/dist', '/carrel/node_modules', '/carrel/package.json'])

  const own = paths.filter((path) => !path.startsWith('/carrel/node_modules/'))
  assert.deepEqual(
    own.filter((path) => /\.ts$|\.map$|\.test\.|__pycache__/.test(path)),
    [],
  )
  for (const part of ['operator', 'gateway', 'metering/sidecar', 'cli', 'local'])
    assert.ok(own.includes(`/carrel/dist/${part}/main.js`), part)
  assert.ok(own.includes('/carrel/dist/local/kubelet/shim/python/sitecustomize.py'))

  const unwanted = Object.keys({ ...packageJson().devDependencies, ...packageJson().optionalDependencies })
  const dependencies = new Set(paths.map((path) => /^\/carrel\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]))
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, { dev?: boolean }> }
  const isDevelopment = (name: string): boolean => lock.packages[`node_modules/${name}`]?.dev === true || name.startsWith('node-linux-')
  assert.deepEqual(
    unwanted.filter((name) => dependencies.has(name) && isDevelopment(name)),
    [],
  )
  assert.deepEqual(
    [...dependencies].filter((name) => name !== undefined && lock.packages[`node_modules/${name}`]?.dev === true),
    [],
  )
  assert.deepEqual(
    paths.filter((path) => MAPS_OF_CODE.test(path)),
    [],
  )
  t.diagnostic(`${paths.length} files, ${own.length} of our own`)
})

test('no key, no registry and no path of the building machine is left in the image', (t) => {
  if (!canRun(t)) return
  const files = filesAdded(imageOf('carrel'), 0).filter(({ path }) => !/\.(so|so\.[\d.]+|node|wasm|gz|zst)$/.test(path))
  const paths = files.map(({ path }) => path)
  const left =
    /(^|\/)(\.npmrc|\.netrc|id_(rsa|ed25519)|kubeconfig|\.env|\.git|pip\.conf|_cacache|_logs)(\/|$)|^\/run\/.|^\/root\/\.(cache|npm|config)|^\/etc\/ssh\/|^\/var\/lib\/apt\/lists\/./
  assert.deepEqual(
    paths.filter((path) => left.test(path)),
    [],
  )
  for (const empty of ['/etc/resolv.conf', '/etc/hosts', '/etc/hostname', '/etc/machine-id']) {
    const file = files.find(({ path }) => path === empty)
    assert.equal(file && contentOf(file), '', empty)
  }
  const ours = files.filter(({ path }) => path.startsWith('/carrel/') && !path.startsWith('/carrel/node_modules/'))
  assert.deepEqual(
    ours.filter((file) => contentOf(file).includes(ROOT) || contentOf(file).includes('PRIVATE KEY-----\n')).map(({ path }) => path),
    [],
  )
})

const PROCESSES: [string, string[], RegExp][] = [
  ['the CLI', ['node', '/carrel/bin/carrel.js', '--help'], /Usage: carrel /],
  ['the version', ['node', '/carrel/bin/carrel.js', '--version'], /\d+\.\d+\.\d+/],
  ['the operator', ['node', '/carrel/dist/operator/main.js', '--help'], /Usage: carrel-operator/],
  ['the gateway', ['node', '/carrel/dist/gateway/main.js', '--help'], /Usage: carrel-gateway/],
]

for (const [what, command, expected] of PROCESSES) {
  test(`${what} runs in the image, as its user, on a read-only root file system`, (t) => {
    if (!canRun(t)) return
    const { status, output } = runInside(imageOf('carrel'), command)
    assert.match(output, expected)
    assert.equal(status, 0, output)
  })
}

test('the meter in the image says what it misses', (t) => {
  if (!canRun(t)) return
  const { status, output } = runInside(imageOf('carrel'), ['node', '/carrel/dist/metering/sidecar/main.js'])
  assert.match(output, /CARREL_METER_KEY/)
  assert.notEqual(status, 0)
})

test('an archive of several images holds what they share once', (t) => {
  if (!canRun(t)) return
  const names = ['carrel', 'hello']
  const { manifests, bytes } = readArchive(imageArchive(...names))
  assert.deepEqual(
    manifests.map(({ name }) => name),
    names.map(referenceOf),
  )
  const all = manifests.flatMap(({ layerBytes }) => layerBytes).reduce((sum, size) => sum + size, 0)
  assert.ok(bytes < all * 0.6, `${bytes} bytes for layers of ${all}`)
})

test('an image that there is not is named, with those that there are', () => {
  assert.throws(() => imageArchive('postgres'), /there is no image postgres; there are carrel, redis, pause/)
  assert.throws(() => baseImage('alpine:3'), /no stand-in for the image alpine:3/)
})
