import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cached, run } from './cache.ts'
import { goEnvironment, requireGo } from './control-plane.ts'
import { installDebian } from './debian.ts'

const SOURCES = join(import.meta.dirname, '..', '..', 'test', 'cluster', 'binaries')
const CONTAINERD_VERSION = '2.4.2'
const COREDNS_VERSION = '1.15.0'
const CONTAINERD_PARTS = ['containerd', 'containerd-shim-runc-v2']

/** Programs of the system's packages: by these names they are looked for, by those they are installed. */
const PACKAGES = {
  ip: 'iproute2',
  iptables: 'iptables',
  runc: 'runc',
  ctr: 'containerd',
  '/usr/lib/cni/ptp': 'containernetworking-plugins',
  nsenter: 'util-linux',
}

/**
 * A folder with containerd, its shim for runc and CoreDNS, built from their Go modules; runc and the network plugins come
 * from the system's packages. No service is started.
 */
export function prepareNode(): string {
  const missing = Object.entries(PACKAGES).filter(([program]) => !isHere(program))
  if (missing.length > 0)
    installDebian(
      missing.map(([, name]) => name),
      'a node of Kubernetes needs more programs',
    )
  return cached(
    `node-containerd-${CONTAINERD_VERSION}-coredns-${COREDNS_VERSION}`,
    (fresh) => {
      requireGo()
      const module = 'github.com/containerd/containerd/v2'
      install(
        fresh,
        CONTAINERD_PARTS.map((part) => `${module}/cmd/${part}@v${CONTAINERD_VERSION}`),
      )
      buildCoredns(fresh)
    },
    (made) => {
      for (const part of CONTAINERD_PARTS) run(join(made, part), [part === 'containerd' ? '--version' : '-v'])
      run(join(made, 'coredns'), ['-version'])
    },
  )
}

function install(folder: string, packages: string[]): void {
  const env = { ...goEnvironment(), CGO_ENABLED: '0', GOBIN: folder }
  run('go', ['install', '-trimpath', '-ldflags', '-s -w', ...packages], { env })
}

function buildCoredns(folder: string): void {
  const source = mkdtempSync(join(tmpdir(), 'carrel-build-'))
  try {
    cpSync(join(SOURCES, 'coredns.go'), join(source, 'main.go'))
    const required = `require github.com/coredns/coredns v${COREDNS_VERSION}`
    writeFileSync(join(source, 'go.mod'), ['module carrel.dev/names', 'go 1.26.0', required, ''].join('\n'))
    run('go', ['build', '-mod=mod', '-trimpath', '-ldflags', '-s -w', '-o', join(folder, 'coredns'), '.'], {
      cwd: source,
      env: { ...goEnvironment(), CGO_ENABLED: '0' },
    })
  } finally {
    rmSync(source, { recursive: true, force: true })
  }
}

function isHere(program: string): boolean {
  try {
    const path = `${process.env['PATH']}:/usr/sbin:/sbin`
    run('sh', ['-c', 'command -v "$0"', program], { env: { ...process.env, PATH: path } })
    return true
  } catch {
    return false
  }
}
