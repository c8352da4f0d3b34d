/** Adapter: layers of images, each a folder in the cache: `tree` is what it adds, `gone` names what it takes away. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CACHE, cached, run } from '../../../scripts/rings/cache.ts'
import { lendMachine } from './machine.ts'

const SCRIPT = join(import.meta.dirname, 'layer.sh')
/** Goes into the keys: another way to make layers makes other layers. */
const WAY = createHash('sha256').update(readFileSync(SCRIPT)).digest('hex')

export interface Layer {
  key: string
  folder: string
}

export interface CopyAction {
  does: 'copy'
  /** A folder of the machine, or the layers of another stage. */
  from: string | Layer[]
  /** In `from`: a file or a folder. */
  source: string
  /** What of the folder: its paths and a hash of their contents; without it everything. */
  files?: { paths: string[]; hash: string }
  target: string
  targetIsFolder: boolean
  owner: string
  mode: string
}

export interface RunAction {
  does: 'run'
  user: string
  workdir: string
  environment: Record<string, string>
  command: string[]
}

/** Made once per key: by what is below it and what is done. Takes root: it mounts. */
export function makeLayer(below: Layer[], action: CopyAction | RunAction): Layer {
  const key = keyOf(below.at(-1)?.key ?? '', action)
  const made = cached(`image-layer-${key}`, (folder) => {
    console.log(`       ${describe(action)}`)
    if (process.getuid?.() !== 0) throw new Error('images are built by mounting their layers: run this as root')
    const lowers = lowersOf(below)
    if (action.does === 'copy') copyInto(folder, lowers, action)
    else runIn(folder, lowers, action)
  })
  return used({ key, folder: made })
}

/** Whoever clears the cache goes by when a layer was last used. */
function used(layer: Layer): Layer {
  utimesSync(layer.folder, new Date(), new Date())
  return layer
}

const describe = (action: CopyAction | RunAction): string =>
  (action.does === 'run' ? `RUN ${action.command.join(' ')}` : `COPY ${action.source || '.'} ${action.target}`).slice(0, 120)

const lowersOf = (layers: Layer[]): string =>
  layers
    .map(({ key }) => `image-layer-${key}/tree`)
    .toReversed()
    .join(':')

function keyOf(below: string, action: CopyAction | RunAction): string {
  const said: object =
    action.does === 'run'
      ? action
      : { ...action, files: action.files?.hash, from: typeof action.from === 'string' ? '' : (action.from.at(-1)?.key ?? '') }
  return createHash('sha256')
    .update(JSON.stringify([WAY, below, said]))
    .digest('hex')
    .slice(0, 24)
}

function copyInto(folder: string, lowers: string, action: CopyAction): void {
  const isContext = typeof action.from === 'string'
  const list = join(folder, 'list')
  if (action.files) writeFileSync(list, action.files.paths.map((path) => `${path}\0`).join(''))
  const source = isContext ? join(action.from as string, action.source) : action.source.replace(/^\/+/, '')
  const parameters = [source, action.files ? list : '-', action.target, action.targetIsFolder ? 'yes' : 'no', action.owner, action.mode]
  inNamespace({ LAYER: folder, LOWERS: lowers, ...(isContext ? {} : { FROM_LOWERS: lowersOf(action.from as Layer[]) }) }, [
    'copy',
    ...parameters,
  ])
  rmSync(list, { force: true })
}

function runIn(folder: string, lowers: string, action: RunAction): void {
  const machine = mkdtempSync(join(tmpdir(), 'carrel-machine-'))
  try {
    const environment = { ...action.environment, ...lendMachine(machine) }
    const file = join(folder, 'environment')
    writeFileSync(
      file,
      Object.entries(environment)
        .map(([name, value]) => `${name}=${value}\0`)
        .join(''),
    )
    inNamespace({ LAYER: folder, LOWERS: lowers, MACHINE: machine, BUILD_ENV: file }, [
      'run',
      action.user,
      action.workdir,
      ...action.command,
    ])
    rmSync(file)
  } finally {
    rmSync(machine, { recursive: true, force: true })
  }
}

function inNamespace(variables: Record<string, string>, parameters: string[]): void {
  const env = { PATH: process.env['PATH'] ?? '', ...variables }
  run('unshare', ['--mount', '--pid', '--fork', '--kill-child', '--', SCRIPT, ...parameters], { cwd: CACHE, env })
}

/** A layer that is not made from others: `fill` puts its files into the folder it is given. `name`: what decides its content. */
export function foundation(name: string, fill: (tree: string) => void): Layer {
  const key = createHash('sha256').update(name).digest('hex').slice(0, 24)
  const folder = cached(`image-layer-${key}`, (fresh) => {
    mkdirSync(join(fresh, 'tree'), { mode: 0o755 })
    fill(join(fresh, 'tree'))
    writeFileSync(join(fresh, 'gone'), '')
  })
  return used({ key, folder })
}
