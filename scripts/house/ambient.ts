/**
 * What design rule 9 keeps out of everything but adapters: time, chance and I/O that do not come through a port of the
 * Env. Modules are allowed by name, so that a new one is refused until somebody has looked at it.
 */

/** Modules that only compute. `node:crypto` has chance in it too: its names are looked at one by one. */
const PURE_MODULES = new Set([
  'node:assert',
  'node:assert/strict',
  'node:buffer',
  'node:crypto',
  'node:events',
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
const PURE_CRYPTO = new Set([
  'createHash',
  'createHmac',
  'createVerify',
  'createPublicKey',
  'hash',
  'timingSafeEqual',
  'verify',
  'X509Certificate',
])

const AMBIENT_GLOBALS = new Set([
  'setTimeout',
  'setInterval',
  'setImmediate',
  'performance',
  'Temporal',
  'Date',
  'crypto',
  'process',
  'console',
  'global',
  'globalThis',
  'require',
  'fetch',
  'WebSocket',
  'EventSource',
  'BroadcastChannel',
  'navigator',
  'localStorage',
  'sessionStorage',
])
const AMBIENT_MEMBERS = new Set(['Math.random', 'AbortSignal.timeout'])
/** Of `Date`, what computes from its argument. */
const PURE_DATE_MEMBERS = new Set(['parse', 'UTC'])

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
  return `${specifier} is not known to be free of time, chance and I/O: take a port of the Env, or begin the head comment with "Adapter:"`
}

/** A name that is taken from node:crypto; undefined stands for the whole module. */
export function cryptoFault(name: string | undefined): string | undefined {
  if (name !== undefined && PURE_CRYPTO.has(name)) return undefined
  return name === undefined
    ? 'take the names that you use from node:crypto, not all of it'
    : `${name} of node:crypto may draw chance: use env.random`
}

/** `object.member`, as in `Math.random`. */
export function memberFault(object: string, member: string): string | undefined {
  return AMBIENT_MEMBERS.has(`${object}.${member}`) ? `${object}.${member} is ambient: use a port of the Env` : undefined
}

/** A global used as a value; `parent` decides for `Date`, which also computes. */
export function globalFault(name: string, parent: Node): string | undefined {
  if (!AMBIENT_GLOBALS.has(name)) return undefined
  if (name === 'Date' && isPureDate(parent)) return undefined
  return name === 'Date' ? 'Date reads the clock here: use env.clock' : `${name} is ambient: use a port of the Env`
}

/** `new Date(x)`, `Date.parse(x)`, `Date.UTC(…)`, `x instanceof Date`. */
function isPureDate(parent: Node): boolean {
  if (parent.type === 'NewExpression') return (parent['arguments'] as unknown[]).length > 0
  if (parent.type === 'BinaryExpression') return parent['operator'] === 'instanceof'
  return parent.type === 'MemberExpression' && !parent['computed'] && PURE_DATE_MEMBERS.has((parent['property'] as { name: string }).name)
}
