/**
 * Dockerfiles, read into stages of instructions. What is not understood is an error that says the line: an image that
 * leaves an instruction out would be another image.
 */
export interface CopyInstruction {
  kind: 'COPY'
  from?: string
  chown?: string
  chmod?: string
  sources: string[]
  target: string
}

export type Instruction =
  | CopyInstruction
  | { kind: 'RUN' | 'CMD' | 'ENTRYPOINT'; command: string[] }
  | { kind: 'ENV' | 'LABEL'; values: Record<string, string> }
  | { kind: 'ARG'; name: string; value?: string }
  | { kind: 'WORKDIR' | 'USER' | 'STOPSIGNAL'; value: string }
  | { kind: 'EXPOSE' | 'VOLUME'; values: string[] }

export interface Stage {
  name?: string
  from: string
  instructions: { line: number; instruction: Instruction }[]
}

export class DockerfileError extends Error {
  constructor(line: number, message: string) {
    super(`Dockerfile, line ${line}: ${message}`)
  }
}

/** Its stages, with variables still in their values: what ENV and ARG say is known only as the stage is built. */
export function parseDockerfile(text: string): Stage[] {
  const stages: Stage[] = []
  const before: Record<string, string> = {}
  for (const { line, keyword, rest } of instructionsOf(text)) {
    const fail = (message: string): never => {
      throw new DockerfileError(line, message)
    }
    if (/(^|\s)<<-?["']?\w+/.test(rest)) fail('here-documents are not understood here; write the commands with && and \\')
    if (keyword === 'FROM') {
      stages.push(stageOf(expand(rest, before), fail))
      continue
    }
    const stage = stages.at(-1)
    const instruction = instructionOf(keyword, rest, fail)
    if (stage) stage.instructions.push({ line, instruction })
    else if (instruction.kind === 'ARG') before[instruction.name] = expand(instruction.value ?? '', before)
    else fail(`${keyword} stands before FROM`)
  }
  if (stages.length === 0) throw new DockerfileError(1, 'there is no FROM')
  return stages
}

function stageOf(rest: string, fail: (message: string) => never): Stage {
  const words = rest.split(/\s+/).filter((word) => !word.startsWith('--platform='))
  const [from, as, name] = words
  if (from === undefined || (words.length !== 1 && (words.length !== 3 || as?.toUpperCase() !== 'AS')))
    return fail('FROM wants <image> [AS <name>]')
  return { from, instructions: [], ...(name === undefined ? {} : { name }) }
}

/** Logical lines: comments left out, a line that ends in a backslash goes on in the next. */
function* instructionsOf(text: string): Generator<{ line: number; keyword: string; rest: string }> {
  let open: { line: number; text: string } | undefined
  for (const [index, physical] of text.split('\n').entries()) {
    if (/^\s*#/.test(physical) || (open !== undefined && physical.trim() === '')) continue
    const so: { line: number; text: string } = open ?? { line: index + 1, text: '' }
    const goesOn = /\\\s*$/.test(physical)
    so.text += goesOn ? physical.replace(/\\\s*$/, ' ') : physical
    open = goesOn ? so : undefined
    if (!goesOn && so.text.trim() !== '') yield { line: so.line, ...split(so.text.trim()) }
  }
  if (open && open.text.trim() !== '') yield { line: open.line, ...split(open.text.trim()) }
}

function split(text: string): { keyword: string; rest: string } {
  const [, keyword = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? []
  return { keyword: keyword.toUpperCase(), rest: rest.trim() }
}

function instructionOf(keyword: string, rest: string, fail: (message: string) => never): Instruction {
  if (rest === '') return fail(`${keyword} says nothing`)
  switch (keyword) {
    case 'RUN':
    case 'CMD':
    case 'ENTRYPOINT':
      if (rest.startsWith('--')) return fail(`${keyword}'s option ${rest.split(/\s/)[0]} is not understood here`)
      return { kind: keyword, command: jsonList(rest) ?? ['/bin/sh', '-c', rest] }
    case 'COPY':
      return copyOf(rest, fail)
    case 'ENV':
    case 'LABEL':
      return { kind: keyword, values: valuesOf(rest, fail) }
    case 'ARG':
      return argumentOf(rest, fail)
    case 'WORKDIR':
    case 'USER':
    case 'STOPSIGNAL':
      return { kind: keyword, value: unquoted(rest) }
    case 'EXPOSE':
    case 'VOLUME':
      return { kind: keyword, values: jsonList(rest) ?? rest.split(/\s+/) }
    case 'ADD':
      return fail('ADD is not understood here; COPY does what it does with files of the context')
    default:
      return fail(`${keyword} is not understood here`)
  }
}

function argumentOf(rest: string, fail: (message: string) => never): Instruction {
  const [, name = '', , value] = /^(\w+)(=(.*))?$/.exec(rest) ?? fail('ARG wants <name>[=<value>]')
  return { kind: 'ARG', name, ...(value === undefined ? {} : { value: unquoted(value) }) }
}

function copyOf(rest: string, fail: (message: string) => never): CopyInstruction {
  const options: Record<string, string> = {}
  let words = rest
  for (let found; (found = /^--([a-z]+)(?:=(\S+))?\s+/.exec(words)); words = words.slice(found[0].length))
    options[found[1]!] = found[2] ?? ''
  const { from, chown, chmod, ...others } = options
  if (Object.keys(others).length > 0) return fail(`COPY's option --${Object.keys(others)[0]} is not understood here`)
  const paths = jsonList(words) ?? words.trim().split(/\s+/)
  if (paths.length < 2) return fail('COPY wants <source> … <target>')
  const given = Object.fromEntries(Object.entries({ from, chown, chmod }).filter(([, value]) => value !== undefined))
  return { kind: 'COPY', ...given, sources: paths.slice(0, -1), target: paths.at(-1)! }
}

/** `A=1 B="two words"`, or the old form `A the rest`. */
function valuesOf(rest: string, fail: (message: string) => never): Record<string, string> {
  if (!/^[^\s=]+=/.test(rest)) {
    const [, name, value] = /^(\S+)\s+(.+)$/s.exec(rest) ?? fail('a name wants a value: NAME=value')
    return { [name!]: unquoted(value!) }
  }
  const values: Record<string, string> = {}
  const pair = /\s*([^\s=]+)=((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])*)/gy
  let end = 0
  for (let found; (found = pair.exec(rest)); end = pair.lastIndex) values[unquoted(found[1]!)] = unquoted(found[2]!)
  if (rest.slice(end).trim() !== '') return fail(`not understood: ${rest.slice(end).trim()}`)
  return values
}

const unquoted = (value: string): string =>
  value.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/g, (_, double?: string, single?: string, plain?: string) =>
    double === undefined ? (single ?? plain ?? '') : double.replace(/\\(["\\])/g, '$1'),
  )

function jsonList(text: string): string[] | undefined {
  if (!text.trimStart().startsWith('[')) return undefined
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined
  } catch {
    return undefined // As Docker has it: what is no JSON is for the shell.
  }
}

/** `$NAME`, `${NAME}`, `${NAME:-otherwise}` and `${NAME:+instead}`. An unknown name is empty. */
export function expand(text: string, values: Record<string, string>): string {
  return text.replace(
    /\\\$|\$(\w+)|\$\{(\w+)(?::([-+])([^}]*))?\}/g,
    (whole, plain?: string, braced?: string, sign?: string, word = '') => {
      if (whole === '\\$') return '$'
      const value = values[plain ?? braced ?? ''] ?? ''
      if (sign === '+') return value === '' ? '' : word
      return value === '' && sign === '-' ? word : value
    },
  )
}
