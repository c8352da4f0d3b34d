import { isDeepStrictEqual } from 'node:util'
import { isObject, setField } from './patch-merge.ts'
import { Refusal, badRequest } from './statuses.ts'

interface Operation {
  op: string
  path: string
  from?: string
  value?: unknown
}

const INDEX = /^(0|[1-9]\d*)$/
/** The real server's bounds: a few copies of everything into itself would fill any memory. */
const MOST_OPERATIONS = 10_000
const MOST_COPIED_BYTES = 3 * 1024 * 1024

/** JSON patch, RFC 6902. Throws 400 for a malformed patch, 422 for one that does not apply. The target is not changed. */
export function jsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch) || !patch.every(isObject)) throw badRequest('a JSON patch is a list of operations')
  if (patch.length > MOST_OPERATIONS)
    throw tooLarge(`The allowed maximum operations in a JSON patch is ${MOST_OPERATIONS}, got ${patch.length}`)
  let copiedBytes = 0
  return (patch as unknown as Operation[]).reduce((document, operation) => {
    if (operation.op !== 'copy') return applyOperation(document, operation)
    const value = readLoosely(document, pointer(operation.from))
    copiedBytes += JSON.stringify(value).length
    if (copiedBytes > MOST_COPIED_BYTES) throw tooLarge(`The copies of a JSON patch may be ${MOST_COPIED_BYTES} bytes together`)
    return applyOperation(document, { op: 'add', path: operation.path, value })
  }, structuredClone(target))
}

function applyOperation(document: unknown, operation: Operation): unknown {
  const path = pointer(operation.path)
  switch (operation.op) {
    case 'add':
      return edit(document, path, (parent, key) => insert(parent, key, structuredClone(operation.value)), operation.value)
    case 'remove':
      read(document, path)
      return edit(document, path, removeAt, undefined)
    case 'replace':
      readLoosely(document, path)
      return edit(document, path, (parent, key) => setField(parent as Record<string, unknown>, key, operation.value), operation.value)
    case 'move': {
      const from = pointer(operation.from)
      const value = read(document, from)
      return applyOperation(edit(document, from, removeAt, undefined), { op: 'add', path: operation.path, value })
    }
    case 'test':
      if (isDeepStrictEqual(read(document, path), operation.value)) return document
      throw doesNotApply(`testing value ${operation.path} failed`)
    default:
      throw doesNotApply(`Unexpected kind: ${operation.op}`)
  }
}

function pointer(path: unknown): string[] {
  if (typeof path !== 'string' || (path !== '' && !path.startsWith('/'))) throw doesNotApply(`${String(path)} is not a JSON pointer`)
  return path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function read(document: unknown, path: string[]): unknown {
  return path.reduce((value, key) => {
    const isThere = Array.isArray(value) ? INDEX.test(key) && Number(key) < value.length : isObject(value) && Object.hasOwn(value, key)
    if (!isThere) throw doesNotApply(`the path /${path.join('/')} does not exist`)
    return (value as Record<string, unknown>)[key]
  }, document)
}

/** As the real server's library reads for `copy` and `replace`: a field that its map does not have is null. */
function readLoosely(document: unknown, path: string[]): unknown {
  const parent = read(document, path.slice(0, -1))
  const key = path.at(-1)
  return key !== undefined && isObject(parent) && !Object.hasOwn(parent, key) ? null : read(document, path)
}

function edit(document: unknown, path: string[], change: (parent: unknown, key: string) => void, whole: unknown): unknown {
  if (path.length === 0) return whole
  const parent = read(document, path.slice(0, -1))
  if (!Array.isArray(parent) && !isObject(parent)) throw doesNotApply(`the path /${path.join('/')} does not exist`)
  change(parent, path.at(-1)!)
  return document
}

function insert(parent: unknown, key: string, value: unknown): void {
  if (!Array.isArray(parent)) return void setField(parent as Record<string, unknown>, key, value)
  const index = key === '-' ? parent.length : Number(key)
  if (!(key === '-' || INDEX.test(key)) || index > parent.length) throw doesNotApply(`the index ${key} is out of range`)
  parent.splice(index, 0, value)
}

function removeAt(parent: unknown, key: string): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete (parent as Record<string, unknown>)[key]
}

function doesNotApply(message: string): Refusal {
  return new Refusal(422, 'Invalid', `the server rejected our request due to an error in our request: ${message}`, {})
}

function tooLarge(message: string): Refusal {
  return new Refusal(413, 'RequestEntityTooLarge', `Request entity too large: ${message}`)
}
