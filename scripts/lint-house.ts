/** The rules of the house that no kept linter knows: layers, ambient time, chance and I/O, length of files. */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parseSync, Visitor } from 'oxc-parser'

const LONGEST_FILE_LINES = 400

/** Folder of src/ → folders that it may import from, beside itself. `!` before a name forbids it in a folder that may import all. */
const LAYERS: Record<string, readonly string[]> = {
  env: [],
  telemetry: [],
  sessions: [],
  crds: ['sessions', 'kube'],
  kube: ['env'],
  activity: ['env', 'kube'],
  operator: ['env', 'kube', 'crds', 'sessions', 'activity', 'telemetry'],
  gateway: ['env', 'kube', 'crds', 'sessions', 'activity', 'telemetry'],
  local: ['env', 'kube', 'crds', 'sessions', 'activity', 'telemetry'],
  metering: ['env', 'kube', 'crds', 'sessions', 'telemetry'],
  cli: ['env', 'kube', 'crds', 'sessions', 'telemetry'],
}
/** The one place that puts a local installation together. */
const WIRING = /^local\/(main\.ts|start\/)/
/** crds takes types of Kubernetes objects from kube, no code. */
const TYPES_ONLY: Record<string, RegExp> = { crds: /^kube\// }

const AMBIENT_GLOBALS = new Set(['setTimeout', 'setInterval', 'setImmediate', 'fetch', 'performance', 'WebSocket'])
const AMBIENT_MODULES = /^(node:)?(fs|fs\/promises|net|http|https|http2|tls|dgram|dns|child_process|os|worker_threads|cluster|timers|timers\/promises|perf_hooks|readline)$|^undici$|^fastify$|^commander$|^pino$/
const AMBIENT_CRYPTO = new Set(['randomBytes', 'randomUUID', 'randomInt', 'randomFillSync', 'getRandomValues', 'generateKeyPairSync'])

interface Finding {
  file: string
  line: number
  rule: 'layers' | 'env' | 'length'
  message: string
}

interface Node {
  type: string
  start: number
  [field: string]: unknown
}

/** Findings of all TypeScript below `<root>/src`. */
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
  const lineAt = (offset: number): number => text.slice(0, offset).split('\n').length
  const add = (rule: Finding['rule'], start: number, message: string): void => void findings.push({ file: `src/${file}`, line: lineAt(start), rule, message })

  const lines = text.split('\n').length
  if (lines > LONGEST_FILE_LINES) add('length', 0, `${lines} lines; split it before ${LONGEST_FILE_LINES}`)

  const isAdapter = file.startsWith('env/') || /^\s*(\/\*\*|\/\/)[\s*]*Adapter:/.test(text)
  const { program } = parseSync(file, text)
  const onImport = (node: Node): void => {
    const specifier = (node['source'] as { value?: string } | null)?.value
    if (specifier === undefined) return
    const typeOnly = node['importKind'] === 'type' || node['exportKind'] === 'type'
    checkLayer(source, file, specifier, typeOnly, (message) => add('layers', node.start, message))
    if (!isAdapter && !typeOnly && AMBIENT_MODULES.test(specifier)) add('env', node.start, `${specifier} is I/O: take a port of the Env, or say Adapter: in the head comment`)
    if (isAdapter || !/^(node:)?crypto$/.test(specifier)) return
    for (const named of (node['specifiers'] as Node[]) ?? []) {
      const name = (named['imported'] as { name?: string } | undefined)?.name
      if (name && AMBIENT_CRYPTO.has(name)) add('env', named.start, `${name} is chance: use env.random`)
    }
  }
  new Visitor({
    ImportDeclaration: (node) => onImport(node as unknown as Node),
    ExportNamedDeclaration: (node) => onImport(node as unknown as Node),
    ExportAllDeclaration: (node) => onImport(node as unknown as Node),
    CallExpression: (node) => {
      const { callee } = node as unknown as { callee: Node }
      if (!isAdapter && callee.type === 'Identifier' && AMBIENT_GLOBALS.has(callee['name'] as string)) add('env', node.start, `${callee['name'] as string} is ambient: use a port of the Env`)
    },
    NewExpression: (node) => {
      const { callee, arguments: given } = node as unknown as { callee: Node; arguments: unknown[] }
      if (!isAdapter && callee.type === 'Identifier' && callee['name'] === 'Date' && given.length === 0) add('env', node.start, 'new Date() reads the clock: use env.clock')
    },
    MemberExpression: (node) => {
      const { object, property } = node as unknown as { object: Node; property: Node }
      const name = `${object['name'] as string}.${property['name'] as string}`
      const ambient = ['Date.now', 'Math.random', 'performance.now', 'process.env', 'process.hrtime', 'crypto.randomUUID', 'crypto.getRandomValues', 'AbortSignal.timeout']
      if (!isAdapter && object.type === 'Identifier' && ambient.includes(name)) add('env', node.start, `${name} is ambient: use a port of the Env`)
    },
  }).visit(program)
  return findings
}

function checkLayer(source: string, file: string, specifier: string, typeOnly: boolean, complain: (message: string) => void): void {
  const from = file.split('/')[0]!
  if (from === 'gateway' && specifier === '@kubernetes/client-node') return complain('the gateway never imports @kubernetes/client-node (0.5 s and 80 MB at start)')
  if (!specifier.startsWith('.')) return
  const target = relative(source, resolve(source, dirname(file), specifier))
  const to = target.split('/')[0]!
  if (to === from || WIRING.test(file)) return
  const allowed = LAYERS[from]
  if (allowed === undefined) return complain(`src/${from} has no layer: add it to the table in scripts/lint-house.ts`)
  if (!allowed.includes(to)) return complain(`${from} must not import ${to}`)
  if (!typeOnly && TYPES_ONLY[from]?.test(target)) complain(`${from} takes types from ${target}, no code: import type`)
}

if (process.argv[1] === import.meta.filename) {
  const findings = lintHouse(process.argv[2] ?? dirname(import.meta.dirname))
  for (const { file, line, rule, message } of findings) console.error(`${file}:${line} ${rule}: ${message}`)
  if (findings.length > 0) process.exit(1)
}
