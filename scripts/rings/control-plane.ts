import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cached, run } from './cache.ts'

const SOURCES = join(import.meta.dirname, '..', '..', 'test', 'control-plane', 'binaries')
export const KUBERNETES_VERSION = '1.37.2'
const ETCD_VERSION = '3.6.6'
const PARTS = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy', 'kubelet']
/** The first Go that fetches the toolchain which a module asks for. */
const OLDEST_GO = [1, 21]
const PROGRESS_EVERY_PACKAGES = 250

/**
 * A folder with etcd, kube-apiserver and kube-controller-manager, built from their Go modules, whose sums Go's checksum
 * database vouches for. Some minutes the first time; then kept.
 */
export function prepareControlPlane(version = KUBERNETES_VERSION): string {
  return cached(
    `control-plane-${version}-etcd-${ETCD_VERSION}`,
    (fresh) => {
      requireGo()
      build(join(fresh, 'etcd'), 'etcd.go', [`\tgo.etcd.io/etcd/server/v3 v${ETCD_VERSION}`], [], '')
      buildKubernetes(fresh, version)
    },
    (made) => void [...PARTS, 'etcd'].map((part) => run(join(made, part), ['--version'])),
  )
}

function buildKubernetes(folder: string, version: string): void {
  const [major, minor, patch] = version.split('.')
  const module = `k8s.io/kubernetes@v${version}`
  const { GoMod } = JSON.parse(run('go', ['mod', 'download', '-json', module], { env: goEnvironment() })) as { GoMod: string }
  // Kubernetes' own go.mod names its staging modules by folder; published, they carry v0 and the same numbers.
  const staging = [...readFileSync(GoMod, 'utf8').matchAll(/^\t(k8s\.io\/\S+) => \.\/staging/gm)].map(([, name]) => name!)
  const replaced = staging.map((name) => `\t${name} => ${name} v0.${minor}.${patch}`)
  const variables = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' }
  const flags = Object.entries(variables).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
  build(join(folder, 'kubernetes'), 'kubernetes.go', [`\tk8s.io/kubernetes v${version}`], replaced, flags.join(' '))
  for (const part of PARTS) symlinkSync('kubernetes', join(folder, part))
}

function build(binary: string, source: string, required: string[], replaced: string[], linkerFlags: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'carrel-build-'))
  try {
    copyFileSync(join(SOURCES, source), join(folder, 'main.go'))
    const goMod = ['module carrel.dev/control-plane', 'go 1.24.0', 'require (', ...required, ')', 'replace (', ...replaced, ')', '']
    writeFileSync(join(folder, 'go.mod'), goMod.join('\n'))
    const compile = `set -o pipefail; go build -v -mod=mod -trimpath -ldflags "$2" -o "$1" . 2>&1 | awk '
      /^(go: downloading|#|[a-z]+[.\\/a-zA-Z0-9_-]*$)/ { if (++n % ${PROGRESS_EVERY_PACKAGES} == 0) { print "     " n " packages …"; fflush() } next }
      { print }'`
    run('bash', ['-c', compile, 'bash', binary, `-s -w ${linkerFlags}`], {
      cwd: folder,
      env: { ...goEnvironment(), CGO_ENABLED: '0' },
      shown: true,
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export function goEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, GOFLAGS: '-buildvcs=false', GOTOOLCHAIN: process.env['GOTOOLCHAIN'] ?? 'auto' }
}

export function requireGo(): void {
  const advice = `install Go ${OLDEST_GO.join('.')} or later from https://go.dev/dl`
  let version: string
  try {
    version = run('go', ['env', 'GOVERSION']).trim()
  } catch {
    throw new Error(`etcd and kube-apiserver are built from their Go modules, and there is no Go: ${advice}`)
  }
  const [major = 0, minor = 0] = version.replace('go', '').split('.').map(Number)
  if (major < OLDEST_GO[0]! || (major === OLDEST_GO[0] && minor < OLDEST_GO[1]!)) throw new Error(`${version} is too old: ${advice}`)
}
