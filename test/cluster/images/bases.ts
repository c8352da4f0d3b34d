/**
 * Adapter: what stands in for the images that a FROM names. No registry is asked: Debian comes from its packages, Node from
 * npm's package of it, Python is Debian's. So a Python of another version than the name says is what Debian has.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync, chmodSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { run } from '../../../scripts/rings/cache.ts'
import { installDebian } from '../../../scripts/rings/debian.ts'
import { foundation, type Layer, makeLayer } from './layer.ts'
import type { Image } from './image.ts'

const SUITE = 'bookworm'
const ROOT = join(import.meta.dirname, '..', '..', '..')
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const UNREAD = ['doc', 'man', 'info', 'locale', 'lintian']

const BASES: { name: RegExp; base: () => Image }[] = [
  { name: /^scratch$/, base: () => ({ layers: [], config: { Env: [`PATH=${PATH}`] } }) },
  { name: /^(docker\.io\/(library\/)?)?debian:(bookworm|12)(-slim)?$/, base: debianImage },
  { name: /^((docker\.io\/(library\/)?)|public\.ecr\.aws\/docker\/library\/)?node:24(\.[\d.]+)?(-bookworm)?(-slim)?$/, base: nodeImage },
  { name: /^((docker\.io\/(library\/)?)|public\.ecr\.aws\/docker\/library\/)?python:3\.\d+(-slim)?(-bookworm)?$/, base: pythonImage },
  { name: /^ghcr\.io\/astral-sh\/uv:python3\.\d+-bookworm(-slim)?$/, base: pythonImage },
]

/** The stand-in for an image of a registry; throws, with what there is, where there is none. */
export function baseImage(name: string): Image {
  const found = BASES.find((base) => base.name.test(name))
  if (found) return found.base()
  throw new Error(
    `there is no stand-in for the image ${name}: debian:bookworm-slim, node:24-bookworm-slim, python:3.x-slim, ghcr.io/astral-sh/uv:python3.x-bookworm-slim and scratch have one (test/cluster/images/bases.ts)`,
  )
}

function debianImage(): Image {
  return { layers: [debian()], config: { Env: [`PATH=${PATH}`], Cmd: ['bash'] } }
}

function nodeImage(): Image {
  return { layers: [debian(), certificates(), node()], config: { Env: [`PATH=${PATH}`, `NODE_VERSION=${nodeVersion()}`], Cmd: ['node'] } }
}

/** As the official one and uv's: `python`, `pip` and `uv` without a virtual environment. */
function pythonImage(): Image {
  const below = [debian(), certificates()]
  const python = runAsRoot(
    below,
    'apt-get update -qq && apt-get install -y -qq python3 python3-venv python3-pip > /dev/null && rm -rf /var/lib/apt/lists/* && ' +
      'rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && ln -s /usr/bin/python3 /usr/local/bin/python && pip install -q uv==0.9.5',
  )
  return { layers: [...below, python], config: { Env: [`PATH=${PATH}`], Cmd: ['python3'] } }
}

function runAsRoot(below: Layer[], command: string): Layer {
  return makeLayer(below, {
    does: 'run',
    user: '0:0',
    workdir: '/',
    environment: { PATH, HOME: '/root' },
    command: ['/bin/sh', '-ec', command],
  })
}

/** Debian's smallest, from the mirror of this machine's apt, without what nobody reads in a container. */
function debian(): Layer {
  return foundation(`debian ${SUITE} ${process.arch} 1`, (tree) => {
    if (!existsSync('/usr/sbin/debootstrap')) installDebian(['debootstrap'], 'there is no debootstrap, which makes the base of all images')
    run('/usr/sbin/debootstrap', ['--variant=minbase', SUITE, tree, mirror()])
    for (const place of ['var/cache/apt', 'var/lib/apt/lists', 'var/log']) emptied(join(tree, place))
    for (const place of UNREAD) rmSync(join(tree, 'usr/share', place), { recursive: true, force: true })
    // debootstrap leaves this machine's own there.
    for (const file of ['etc/resolv.conf', 'etc/hosts', 'etc/hostname', 'etc/machine-id']) writeFileSync(join(tree, file), '')
    const unread = UNREAD.map((place) => `path-exclude /usr/share/${place}/*\n`).join('')
    writeFileSync(join(tree, 'etc/dpkg/dpkg.cfg.d/unread'), unread)
    // No package starts a service in an image.
    writeFileSync(join(tree, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  })
}

function emptied(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
}

/** Where this machine's apt has Debian from. */
function mirror(): string {
  const lines = run('apt-get', ['indextargets', '--format', '$(REPO_URI) $(RELEASE)', 'Created-By: Packages', 'Component: main']).split(
    '\n',
  )
  const uris = lines.map((line) => line.split(' ')).filter(([uri, suite]) => /^(http|file)/.test(uri ?? '') && !/-|^$/.test(suite ?? ''))
  return uris.find(([, suite]) => suite === SUITE)?.[0] ?? uris[0]?.[0] ?? 'http://deb.debian.org/debian'
}

const certificates = (): Layer =>
  runAsRoot([debian()], 'apt-get update -qq && apt-get install -y -qq ca-certificates > /dev/null && rm -rf /var/lib/apt/lists/*')

/** Node by the checkout's own package of it, npm by the machine's. User `node` is 1000, as in the official image. */
function node(): Layer {
  const npm = npmFolder()
  const { version } = JSON.parse(readFileSync(join(npm, 'package.json'), 'utf8')) as { version: string }
  return foundation(`node ${nodeVersion()} ${process.arch} npm ${version} on ${debian().key} 1`, (tree) => {
    const bin = join(tree, 'usr/local/bin')
    const modules = join(tree, 'usr/local/lib/node_modules')
    for (const folder of [bin, modules, join(tree, 'etc')]) mkdirSync(folder, { recursive: true })
    copyFileSync(join(nodePackage(), 'bin/node'), join(bin, 'node'))
    chmodSync(join(bin, 'node'), 0o755)
    run('cp', ['-r', npm, join(modules, 'npm')])
    symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(bin, 'npm'))
    symlinkSync('../lib/node_modules/npm/bin/npx-cli.js', join(bin, 'npx'))
    const add = (file: string, line: string): void =>
      writeFileSync(join(tree, 'etc', file), readFileSync(join(debian().folder, 'tree/etc', file), 'utf8') + line)
    add('passwd', 'node:x:1000:1000::/home/node:/bin/bash\n')
    add('group', 'node:x:1000:\n')
    run('install', ['-d', '-o', '1000', '-g', '1000', join(tree, 'home/node')])
  })
}

const nodePackage = (): string => join(ROOT, 'node_modules', `node-linux-${process.arch}`)
const nodeVersion = (): string => (JSON.parse(readFileSync(join(nodePackage(), 'package.json'), 'utf8')) as { version: string }).version

function npmFolder(): string {
  const path = run('sh', ['-c', 'command -v npm']).trim()
  return dirname(dirname(realpathSync(path)))
}
