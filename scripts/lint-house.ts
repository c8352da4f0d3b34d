/** The rules of the house that no kept linter knows: layers, ambient time, chance and I/O, length of files. */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseSync } from 'oxc-parser'
import { globalFault, isAdapter, moduleFault, nameFault, type Node } from './house/ambient.ts'
import { layerFault } from './house/layers.ts'
import { isDeclared, walk } from './house/scope.ts'

const LONGEST_FILE_LINES = 400

export interface Finding {
  file: string
  line: number
  rule: 'layers' | 'env' | 'length' | 'syntax'
  message: string
}

/** Findings in all TypeScript below `<root>/src`. */
export function lintHouse(root: string): Finding[] {
  const source = join(root, 'src')
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .toSorted()
    .flatMap((file) => lintFile(source, file))
}

function lintFile(source: string, file: string): Finding[] {
  const text = readFileSync(join(source, file), 'utf8')
  const findings: Finding[] = []
  const add = (rule: Finding['rule'], start: number, message: string | undefined): void => {
    if (message) findings.push({ file: `src/${file}`, line: text.slice(0, start).split('\n').length, rule, message })
  }
  const lines = text.split('\n').length
  if (lines > LONGEST_FILE_LINES) add('length', 0, `${lines} lines; split it before ${LONGEST_FILE_LINES}`)
  const { program, errors } = parseSync(file, text)
  if (errors.length > 0) add('syntax', 0, errors[0]!.message)

  const isFree = isAdapter(file, text)
  walk(program as unknown as Node, (node, parent, scope) => {
    const loaded = importOf(node)
    if (loaded) {
      add('layers', node.start, layerFault(source, file, loaded.specifier, loaded.typeOnly))
      if (!isFree && !loaded.typeOnly) add('env', node.start, moduleFault(loaded.specifier))
      if (!isFree && !loaded.typeOnly) for (const name of loaded.names) add('env', node.start, nameFault(loaded.specifier, name))
    }
    if (isFree || parent === undefined) return
    if (node.type === 'ImportExpression' && !loaded) add('env', node.start, 'import() of what only running tells: name the module')
    if (node.type === 'Identifier' && isValue(node, parent) && !isDeclared(node['name'] as string, scope))
      add('env', node.start, globalFault(node['name'] as string, parent))
  })
  return findings
}

/** What the node loads, if it loads: `names` are the values taken, undefined for all of the module. */
function importOf(node: Node): { specifier: string; typeOnly: boolean; names: (string | undefined)[] } | undefined {
  const specifier = specifierOf(node['source'] as Node | null | undefined)
  if (specifier === undefined) return undefined
  const typeOnly = node['importKind'] === 'type' || node['exportKind'] === 'type' || node.type === 'TSImportType'
  if (node.type === 'ExportAllDeclaration' || node.type === 'ImportExpression') return { specifier, typeOnly, names: [undefined] }
  const values = ((node['specifiers'] as Node[] | undefined) ?? []).filter((one) => one['importKind'] !== 'type' && !typeOnly)
  return {
    specifier,
    typeOnly,
    names: values.map((one) => nameOf(one['imported'] ?? one['local'])).map((name, index) => (isNamed(values[index]!) ? name : undefined)),
  }
}

/** Of a template, as in import(`pkg/${name}.js`), what stands before its first hole. */
function specifierOf(source: Node | null | undefined): string | undefined {
  if (source?.type === 'TemplateLiteral') return (source['quasis'] as { value: { cooked: string } }[])[0]!.value.cooked || undefined
  return typeof source?.['value'] === 'string' ? source['value'] : undefined
}

const isNamed = ({ type }: Node): boolean => type === 'ImportSpecifier' || type === 'ExportSpecifier'

function nameOf(node: unknown): string | undefined {
  return (node as { name?: string } | undefined)?.name
}

/** Whether an identifier reads a variable, and is no name of a member, a key, a label or a type. */
function isValue(node: Node, parent: Node): boolean {
  if (parent.type === 'MemberExpression') return parent['object'] === node || parent['computed'] === true
  if (parent['key'] === node) return parent['computed'] === true || parent['shorthand'] === true
  if (/^(Import|ExportSpecifier|ExportNamespace|Labeled|Break|Continue|MetaProperty)/.test(parent.type)) return false
  return !parent.type.startsWith('TS') || /^TS(NonNull|As|Satisfies)Expression$/.test(parent.type)
}

if (process.argv[1] === import.meta.filename) {
  const findings = lintHouse(process.argv[2] ?? dirname(import.meta.dirname))
  for (const { file, line, rule, message } of findings) console.error(`${file}:${line} ${rule}: ${message}`)
  if (findings.length > 0) process.exit(1)
}
