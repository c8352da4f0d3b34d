/** Builds a Dockerfile without Docker: every RUN and COPY is a layer, made once for what is below it and what goes into it. */
import { lstatSync, readFileSync } from 'node:fs'
import { isAbsolute, join, posix } from 'node:path'
import { baseImage } from './bases.ts'
import { contentHash, filesOf, ignoreRules } from './context.ts'
import { type CopyInstruction, DockerfileError, expand, type Instruction, parseDockerfile, type Stage } from './dockerfile.ts'
import { type Image, variablesOf } from './image.ts'
import { type CopyAction, makeLayer } from './layer.ts'

interface Building {
  image: Image
  arguments: Record<string, string>
  directory: string
  imageOf: (stage: string) => Image
}

/**
 * The image of the last stage, or of `target`; stages that it does not need are left out. `directory`: the context. Throws
 * a DockerfileError for what the file says wrong, and what a command said when it fails.
 */
export function buildImage(
  directory: string,
  { file = join(directory, 'Dockerfile'), target }: { file?: string; target?: string } = {},
): Image {
  const stages = parseDockerfile(readFileSync(file, 'utf8'))
  const built = new Map<Stage, Image>()
  const imageOf = (name: string): Image => {
    const stage = stages.find((candidate, index) => candidate.name === name || String(index) === name)
    if (stage === undefined) return baseImage(name)
    const known = built.get(stage)
    if (known) return known
    const image = buildStage(stage, directory, imageOf)
    built.set(stage, image)
    return image
  }
  return imageOf(target ?? String(stages.length - 1))
}

function buildStage(stage: Stage, directory: string, imageOf: (name: string) => Image): Image {
  const { layers, config } = imageOf(stage.from)
  const building: Building = { image: { layers: [...layers], config: { ...config } }, arguments: {}, directory, imageOf }
  for (const { line, instruction } of stage.instructions) {
    try {
      apply(instruction, building)
    } catch (error) {
      if (error instanceof DockerfileError) throw error
      throw Object.assign(new DockerfileError(line, `${instruction.kind}: ${(error as Error).message}`), { cause: error })
    }
  }
  return building.image
}

function apply(instruction: Instruction, building: Building): void {
  const { config, layers } = building.image
  const known = { ...building.arguments, ...variablesOf(config) }
  const said = (text: string): string => expand(text, known)
  switch (instruction.kind) {
    case 'RUN': {
      const environment = { HOME: '/root', ...building.arguments, ...variablesOf(config) }
      const [user, workdir] = [config.User ?? '0:0', config.WorkingDir ?? '/']
      layers.push(makeLayer(layers, { does: 'run', user, workdir, environment, command: instruction.command }))
      return
    }
    case 'COPY':
      for (const action of copiesOf(instruction, building, said)) layers.push(makeLayer(layers, action))
      return
    case 'ENV': {
      const values = Object.entries(instruction.values).map(([name, value]) => [name, said(value)])
      config.Env = Object.entries({ ...variablesOf(config), ...Object.fromEntries(values) }).map(([name, value]) => `${name}=${value}`)
      return
    }
    case 'LABEL':
      config.Labels = { ...config.Labels, ...instruction.values }
      return
    case 'ARG':
      building.arguments[instruction.name] = said(instruction.value ?? '')
      return
    case 'WORKDIR':
      config.WorkingDir = posix.resolve(config.WorkingDir ?? '/', said(instruction.value))
      return
    case 'USER':
      config.User = said(instruction.value)
      return
    case 'STOPSIGNAL':
      config.StopSignal = said(instruction.value)
      return
    case 'EXPOSE': {
      const ports = instruction.values.map(said).map((port) => (port.includes('/') ? port : `${port}/tcp`))
      config.ExposedPorts = { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) }
      return
    }
    case 'VOLUME':
      config.Volumes = { ...config.Volumes, ...Object.fromEntries(instruction.values.map(said).map((path) => [path, {}])) }
      return
    case 'ENTRYPOINT':
      config.Entrypoint = instruction.command
      delete config.Cmd
      return
    case 'CMD':
      config.Cmd = instruction.command
      return
  }
}

function copiesOf(copy: CopyInstruction, building: Building, said: (text: string) => string): CopyAction[] {
  const written = said(copy.target)
  const target = isAbsolute(written) ? written : posix.join(building.image.config.WorkingDir ?? '/', written)
  const targetIsFolder = copy.sources.length > 1 || /(^|\/)\.?$/.test(written)
  const shared = { does: 'copy' as const, target, targetIsFolder, owner: said(copy.chown ?? '0:0'), mode: copy.chmod ?? '' }
  return copy.sources.map(said).map((source) => {
    if (copy.from !== undefined) return { ...shared, from: building.imageOf(said(copy.from)).layers, source }
    return { ...shared, from: building.directory, ...ofContext(building.directory, posix.normalize(source).replace(/^\/+|\/+$/g, '')) }
  })
}

function ofContext(directory: string, given: string): Pick<CopyAction, 'source' | 'files'> {
  const source = given === '.' ? '' : given
  if (source.split('/').includes('..')) throw new Error(`${source} is outside the context`)
  const entry = lstatSync(join(directory, source), { throwIfNoEntry: false })
  if (entry === undefined) throw new Error(`there is no ${source} in ${directory}`)
  const files = filesOf(directory, source, ignoreRules(directory))
  if (files.length === 0) throw new Error(`nothing of ${source || 'the context'} is left by .dockerignore`)
  const hash = contentHash(directory, files)
  if (!entry.isDirectory()) return { source, files: { paths: [], hash } }
  const paths = files.map((file) => (source === '' ? file : file.slice(source.length + 1)))
  return { source, files: { paths: withFolders(paths), hash } }
}

/** The folders that the files lie in come first, so that they have their own modes. */
function withFolders(paths: string[]): string[] {
  const folders = new Set<string>()
  for (const path of paths) for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) folders.add(path.slice(0, at))
  return [...[...folders].toSorted(), ...paths]
}
