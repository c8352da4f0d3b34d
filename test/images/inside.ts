/** Adapter: a look into an image, and commands in it, without a container runtime. Takes root. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CACHE } from '../../scripts/rings/cache.ts'
import { type Image, variablesOf } from '../cluster/images/image.ts'

/** Mounts $1 (folders, topmost first) as one read-only tree, and runs the rest in it as user $2. */
const SCRIPT = `
set -eu
root=$(mktemp -d); trap 'umount -l "$root"; rmdir "$root"' EXIT
mount -t overlay overlay -o "ro,lowerdir=$1" "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
user=$2; shift 2
chroot --userspec="$user" "$root" "$@"
`

export interface Said {
  status: number | null
  output: string
}

/** What a command says, run as the image's user with its variables, its root file system being read-only. */
export function runInside(image: Image, command: string[]): Said {
  const lowers = image.layers
    .map(({ key }) => `image-layer-${key}/tree`)
    .toReversed()
    .join(':')
  const variables = Object.entries({ HOME: '/tmp', ...variablesOf(image.config) }).map(([name, value]) => `${name}=${value}`)
  const inside = ['/usr/bin/env', '-i', `--chdir=${image.config.WorkingDir ?? '/'}`, ...variables, ...command]
  const parameters = [
    '--mount',
    '--pid',
    '--fork',
    '--propagation',
    'private',
    'sh',
    '-c',
    SCRIPT,
    'sh',
    lowers,
    image.config.User ?? '0:0',
    ...inside,
  ]
  const { status, stdout, stderr } = spawnSync('unshare', parameters, { cwd: CACHE, encoding: 'utf8', timeout: 60_000 })
  return { status, output: stdout + stderr }
}

/** The files, by their paths in the image and on this machine, that the layers from number `from` on add. */
export function filesAdded(image: Image, from: number): { path: string; file: string }[] {
  return image.layers.slice(from).flatMap(({ folder }) => {
    const tree = join(folder, 'tree')
    const names = readdirSync(tree, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    return names.map(({ parentPath, name }) => ({ path: join(parentPath, name).slice(tree.length), file: join(parentPath, name) }))
  })
}

export interface Unpacked {
  manifests: { name: string; config: { architecture: string; config: Record<string, unknown> }; layerBytes: number[] }[]
  bytes: number
}

/** What an archive says to who imports it. */
export function readArchive(archive: string): Unpacked {
  const blob = (name: string): never => JSON.parse(tarFile(archive, name)) as never
  const ofDigest = (digest: string): string => `blobs/${digest.replace(':', '/')}`
  const index: { manifests: { digest: string; annotations: Record<string, string> }[] } = blob('index.json')
  const manifests = index.manifests.map(({ digest, annotations }) => {
    const manifest: { config: { digest: string }; layers: { size: number }[] } = blob(ofDigest(digest))
    const layerBytes = manifest.layers.map(({ size }) => size)
    return { name: annotations['io.containerd.image.name'] ?? '', config: blob(ofDigest(manifest.config.digest)), layerBytes }
  })
  return { manifests, bytes: statSync(archive).size }
}

function tarFile(archive: string, name: string): string {
  const { status, stdout, stderr } = spawnSync('tar', ['-xOf', archive, name], { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 })
  if (status !== 0) throw new Error(`${archive} has no ${name}: ${stderr}`)
  return stdout
}

export const contentOf = ({ file }: { file: string }): string => readFileSync(file, 'utf8')
