/** Adapter: images as one file that containerd, skopeo and podman read: a tar of an OCI image layout, layers compressed by zstd. */
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { constants, zstdCompressSync } from 'node:zlib'
import { CACHE, cached, run } from '../../../scripts/rings/cache.ts'
import type { Image } from './image.ts'
import type { Layer } from './layer.ts'

const CHUNK_BYTES = 16 * 1024 * 1024
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }

interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

interface PackedLayer {
  file: string
  descriptor: Descriptor
  /** Of the tar before compression, as the configuration wants it. */
  diffId: string
}

/** Writes the archive `file` of images by their full names; layers that several share are in it once. */
export function writeArchive(file: string, images: Record<string, Image>): void {
  const layout = mkdtempSync(join(CACHE, '.layout-'))
  try {
    const blobs = join(layout, 'blobs', 'sha256')
    mkdirSync(blobs, { recursive: true })
    const put = (mediaType: string, content: object): Descriptor => {
      const bytes = Buffer.from(JSON.stringify(content))
      const digest = createHash('sha256').update(bytes).digest('hex')
      writeFileSync(join(blobs, digest), bytes)
      return { mediaType, digest: `sha256:${digest}`, size: bytes.length }
    }
    const manifests = Object.entries(images).map(([name, image]) => {
      const layers = image.layers.map(packLayer)
      for (const { file: packed, descriptor } of layers) linkOnce(packed, join(blobs, descriptor.digest.slice('sha256:'.length)))
      const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name }
      return { ...put(MANIFEST, manifestOf(put('application/vnd.oci.image.config.v1+json', configOf(image, layers)), layers)), annotations }
    })
    writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
    writeFileSync(
      join(layout, 'index.json'),
      JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }),
    )
    run('tar', ['-C', layout, '-chf', file, 'oci-layout', 'index.json', 'blobs'])
  } finally {
    rmSync(layout, { recursive: true, force: true })
  }
}

/** What `podman inspect` shows as Config, with what the specification wants around it. */
function configOf(image: Image, layers: PackedLayer[]): object {
  return {
    created: '1970-01-01T00:00:00Z',
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    config: image.config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
  }
}

const manifestOf = (config: Descriptor, layers: PackedLayer[]): object => ({
  schemaVersion: 2,
  mediaType: MANIFEST,
  config,
  layers: layers.map(({ descriptor }) => descriptor),
})

function linkOnce(from: string, to: string): void {
  if (!existsSync(to)) symlinkSync(from, to)
}

function packLayer(layer: Layer): PackedLayer {
  const folder = cached(`image-blob-${layer.key}`, (fresh) => {
    const tar = join(fresh, 'layer.tar')
    tarOf(layer, tar)
    writeFileSync(join(fresh, 'layer.json'), JSON.stringify(compress(tar, join(fresh, 'layer'))))
    rmSync(tar)
  })
  utimesSync(folder, new Date(), new Date())
  return { file: join(folder, 'layer'), ...(JSON.parse(readFileSync(join(folder, 'layer.json'), 'utf8')) as Omit<PackedLayer, 'file'>) }
}

/** What overlayfs keeps as devices, the image specification keeps as empty files called `.wh.<name>`. */
function tarOf(layer: Layer, tar: string): void {
  const tree = join(layer.folder, 'tree')
  const find = `cd "$1" && find . -mindepth 1 ! -type c ! -type b ! -type s -print0 | LC_ALL=C sort -z | tar --numeric-owner --no-recursion --null -T - -cf "$2"`
  run('bash', ['-o', 'pipefail', '-c', find, 'tar', tree, tar])
  const gone = readFileSync(join(layer.folder, 'gone'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
  if (gone.length === 0) return
  const whiteouts = mkdtempSync(join(CACHE, '.gone-'))
  try {
    for (const path of gone) {
      const [, folder = '.', name = ''] = /^(.*)\/([^/]+)$/.exec(path) ?? []
      mkdirSync(join(whiteouts, folder), { recursive: true })
      writeFileSync(join(whiteouts, folder, `.wh.${name}`), '')
    }
    run('bash', [
      '-c',
      'cd "$1" && find . -type f -print0 | tar --owner=0 --group=0 --no-recursion --null -T - -rf "$2"',
      'tar',
      whiteouts,
      tar,
    ])
  } finally {
    rmSync(whiteouts, { recursive: true, force: true })
  }
}

/** In frames of their own, one after the other, so that no more than a piece is in memory. */
function compress(tar: string, packed: string): Omit<PackedLayer, 'file'> {
  const [plain, compressed] = [createHash('sha256'), createHash('sha256')]
  const [from, to] = [openSync(tar, 'r'), openSync(packed, 'w')]
  const piece = Buffer.alloc(CHUNK_BYTES)
  for (let read; (read = readSync(from, piece, 0, CHUNK_BYTES, null)) > 0;) {
    const bytes = piece.subarray(0, read)
    const frame = zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 } })
    plain.update(bytes)
    compressed.update(frame)
    writeSync(to, frame)
  }
  for (const file of [from, to]) closeSync(file)
  const digest = `sha256:${compressed.digest('hex')}`
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+zstd'
  return { descriptor: { mediaType, digest, size: statSync(packed).size }, diffId: `sha256:${plain.digest('hex')}` }
}
