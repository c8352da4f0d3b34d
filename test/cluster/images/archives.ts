/**
 * Adapter: the images of the tests as archives that `ctr images import` and `podman load` read, made without Docker and
 * without a registry, and kept in the cache by what they are made of.
 */
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { CACHE, cached, run } from '../../../scripts/rings/cache.ts'
import { buildImage } from './build.ts'
import { contentHash, filesOf, parseIgnore } from './context.ts'
import type { Image } from './image.ts'
import { makeLayer } from './layer.ts'
import { writeArchive } from './oci-archive.ts'

const HERE = import.meta.dirname
const ROOT = join(HERE, '..', '..', '..')
/** Unused for this long, a folder goes: every change of the code makes new ones. Archives are soon made again from their layers. */
const KEPT_UNUSED_MS = {
  'image-archive-': 6 * 3_600_000,
  '.layout-': 6 * 3_600_000,
  'image-layer-': 14 * 86_400_000,
  'image-blob-': 14 * 86_400_000,
}

export const IMAGE_NAMES = ['carrel', 'redis', 'pause', 'probe', 'python-probe', 'hello', 'toolkit-agent', 'root-agent'] as const
export type ImageName = (typeof IMAGE_NAMES)[number]

const IMAGES: Record<ImageName, { reference: string; build: () => Image }> = {
  carrel: { reference: `docker.io/carrel/carrel:${carrelVersion()}`, build: () => buildImage(ROOT) },
  redis: { reference: 'docker.io/library/redis:7', build: () => buildImage(join(HERE, 'redis')) },
  pause: { reference: testReference('pause'), build: buildPause },
  probe: { reference: testReference('probe'), build: () => agentImage(join(ROOT, 'test', 'agents', 'probe'), ['node', 'agent.ts']) },
  'python-probe': {
    reference: testReference('python-probe'),
    build: () => agentImage(join(ROOT, 'test', 'agents', 'python-probe'), ['python', 'agent.py']),
  },
  hello: { reference: testReference('hello'), build: () => buildImage(join(ROOT, 'examples', 'hello')) },
  'toolkit-agent': { reference: testReference('toolkit-agent'), build: () => buildImage(join(HERE, 'toolkit-agent')) },
  'root-agent': { reference: testReference('root-agent'), build: () => buildImage(join(HERE, 'root-agent')) },
}

/** The name that an image has in its archive, and so on a node: as a pod names it. */
export const referenceOf = (name: string): string => known(name).reference

export const imageOf = (name: string): Image => known(name).build()

function known(name: string): (typeof IMAGES)[ImageName] {
  const image = Object.entries(IMAGES).find(([candidate]) => candidate === name)?.[1]
  if (image) return image
  throw new Error(`there is no image ${name}; there are ${IMAGE_NAMES.join(', ')}`)
}

/** Path of one archive that holds the named images; what they share is in it once. */
export function imageArchive(...names: string[]): string {
  return archiveOf(names.join('-and-'), Object.fromEntries(names.map((name) => [referenceOf(name), imageOf(name)])))
}

export interface AgentImage {
  archive: string
  reference: string
}

/**
 * An image with a folder of code at /app, over Node 24 and Python with the bedrock-agentcore SDKs, as user 1000. The
 * default command is that of the agent.ts or agent.py in it. Takes a second: only a thin layer is made.
 */
export function agentImageOf(directory: string, { command }: { command?: string[] } = {}): AgentImage {
  const image = agentImage(directory, command ?? defaultCommand(directory))
  const reference = testReference(`agent-${keyOf({ image }).slice(0, 12)}`)
  return { reference, archive: archiveOf('agent', { [reference]: image }) }
}

function defaultCommand(directory: string): string[] {
  const names = readdirSync(directory)
  if (names.includes('agent.ts')) return ['node', 'agent.ts']
  if (names.includes('agent.py')) return ['python', 'agent.py']
  throw new Error(`there is neither an agent.ts nor an agent.py in ${directory}: give the command`)
}

function agentImage(directory: string, command: string[]): Image {
  const { layers, config } = buildImage(join(HERE, 'agent'))
  const paths = filesOf(directory, '', parseIgnore('**/__pycache__'))
  const files = { paths, hash: contentHash(directory, paths) }
  const code = makeLayer(layers, {
    does: 'copy',
    from: directory,
    source: '',
    files,
    target: '/app',
    targetIsFolder: true,
    owner: '1000:1000',
    mode: '',
  })
  return { layers: [...layers, code], config: { ...config, Cmd: command } }
}

/** Static, in Go: the machine's compiler stands for a stage of the Dockerfile. */
function buildPause(): Image {
  const source = join(HERE, 'pause', 'pause.go')
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 12)
  const folder = cached(`image-pause-${hash}-${process.arch}`, (fresh) => {
    const env = { ...process.env, CGO_ENABLED: '0', GO111MODULE: 'off' }
    run('go', ['build', '-trimpath', '-ldflags', '-s -w', '-o', join(fresh, 'pause'), source], { env })
  })
  return buildImage(folder, { file: join(HERE, 'pause', 'Dockerfile') })
}

function archiveOf(name: string, images: Record<string, Image>): string {
  const prefix = `image-archive-${name}-`
  const folder = cached(`${prefix}${keyOf(images).slice(0, 24)}`, (fresh) => writeArchive(join(fresh, 'image.tar'), images))
  utimesSync(folder, new Date(), new Date())
  clearUnused()
  return join(folder, 'image.tar')
}

const keyOf = (images: Record<string, Image>): string =>
  createHash('sha256')
    .update(JSON.stringify(Object.entries(images).map(([name, { layers, config }]) => [name, layers.map(({ key }) => key), config])))
    .digest('hex')

function clearUnused(): void {
  const nowMs = Date.now()
  for (const name of readdirSync(CACHE)) {
    const keptMs = Object.entries(KEPT_UNUSED_MS).find(([prefix]) => name.startsWith(prefix))?.[1]
    if (keptMs === undefined) continue
    const usedAtMs = lstatSync(join(CACHE, name), { throwIfNoEntry: false })?.mtimeMs ?? nowMs
    if (usedAtMs < nowMs - keptMs) rmSync(join(CACHE, name), { recursive: true, force: true })
  }
}

function testReference(name: string): string {
  return `docker.io/library/carrel-test-${name}:latest`
}

function carrelVersion(): string {
  return (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version
}
