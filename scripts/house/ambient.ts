/**
 * What design rule 9 keeps out of everything but adapters: time, chance and I/O that do not come through a port of the
 * Env. Modules are allowed by name, so that a new one is refused until somebody has looked at it.
 */

/** Modules that only compute. `node:crypto` has chance in it too, `node:net` sockets: their names are looked at one by one. */
const PURE_MODULES = new Set([
  'jose/decode/protected_header',
  'jose/errors',
  'jose/jwks/local',
  // Reads the clock unless it is given `currentDate`.
  'jose/jwt/verify',
  'node:assert',
  'node:assert/strict',
  'node:buffer',
  'node:crypto',
  'node:events',
  'node:net',
  'node:path',
  'node:path/posix',
  'node:querystring',
  'node:stream',
  'node:string_decoder',
  'node:url',
  'node:util',
  'node:zlib',
  'yaml',
  'zod',
])
/** Folders of packages whose files are only data. */
const PURE_FOLDERS = ['@kubernetes/client-node/dist/gen/models/']
const PURE_NAMES = new Map([
  [
    'node:crypto',
    new Set(['createHash', 'createHmac', 'createVerify', 'createPublicKey', 'hash', 'timingSafeEqual', 'verify', 'X509Certificate']),
  ],
  ['node:net', new Set(['BlockList', 'isIP', 'isIPv4', 'isIPv6'])],
])

const AMBIENT_GLOBALS = new Set([
  'setTimeout',
  'setInterval',
  'setImmediate',
  'performance',
  'Temporal',
  'crypto',
  'process',
  'console',
  'global',
  'globalThis',
  'require',
  'eval',
  'Function',
  'fetch',
  'WebSocket',
  'EventSource',
  'BroadcastChannel',
  'navigator',
  'localStorage',
  'sessionStorage',
])
/** Globals of which some members compute and others draw time or chance: which members are pure. */
const HALF_PURE = new Map<string, (member: string) => boolean>([
  ['Date', (member) => member === 'parse' || member === 'UTC'],
  ['Math', (member) => member !== 'random'],
  ['AbortSignal', (member) => member !== 'timeout'],
  // What it makes formats the time of now when it is given none.
  ['Intl', (member) => member !== 'DateTimeFormat'],
])

/** The parts of an ESTree node that the rule reads. */
export interface Node {
  type: string
  start: number
  [field: string]: unknown
}

/** An adapter says so in the first words of the file; src/env is where the ports are made. */
export function isAdapter(file: string, text: string): boolean {
  return file.startsWith('env/') || /^(\/\*\*|\/\/)[\s*]*Adapter:/.test(text)
}

/** Whether loading `specifier` brings time, chance or I/O with it. */
export function moduleFault(specifier: string): string | undefined {
  if (specifier.startsWith('.') || PURE_MODULES.has(specifier)) return undefined
  if (PURE_FOLDERS.some((folder) => specifier.startsWith(folder))) return undefined
  return `${specifier} is not known to be free of time, chance and I/O: take a port of the Env, or begin the head comment with "Adapter:"`
}

/** A name that is taken from a module of which some names only compute; undefined stands for the whole module. */
export function nameFault(specifier: string, name: string | undefined): string | undefined {
  const pure = PURE_NAMES.get(specifier)
  if (pure === undefined || (name !== undefined && pure.has(name))) return undefined
  if (name === undefined) return `take the names that you use from ${specifier}, not all of it`
  return specifier === 'node:crypto'
    ? `${name} of node:crypto may draw chance: use env.random`
    : `${name} of ${specifier} may do I/O: take a port of the Env`
}

/** A global used as a value; its `parent` decides for those that also compute. */
export function globalFault(name: string, parent: Node): string | undefined {
  const isPure = HALF_PURE.get(name)
  if (!isPure) return AMBIENT_GLOBALS.has(name) ? `${name} is ambient: use a port of the Env` : undefined
  if (parent.type === 'BinaryExpression' && parent['operator'] === 'instanceof') return undefined
  const member = memberOf(parent)
  if (name === 'Date') return isDateOf(parent) || (member && isPure(member)) ? undefined : 'Date reads the clock here: use env.clock'
  if (member && isPure(member)) return undefined
  return member ? `${name}.${member} is ambient: use a port of the Env` : `name the member of ${name} that is used: some are ambient`
}

/** The member that `parent` reads, when the text says which. */
function memberOf(parent: Node): string | undefined {
  return parent.type === 'MemberExpression' && !parent['computed'] ? (parent['property'] as { name?: string }).name : undefined
}

/** `new Date(x)`: a given time, not this one. */
function isDateOf(parent: Node): boolean {
  const given = parent.type === 'NewExpression' ? (parent['arguments'] as Node[])[0] : undefined
  return given !== undefined && given.type !== 'SpreadElement'
}
