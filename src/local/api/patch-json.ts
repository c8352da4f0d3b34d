import { isDeepStrictEqual } from 'node:util'
import { isObject } from './patch-merge.ts'
import { Refusal, badRequest } from './statuses.ts'

interface Operation {
  op: string
  path: string
  from?: string
  value?: unknown
}

/** JSON patch, RFC 6902. Throws 400 for a malformed patch, 422 for one that does not apply. The target is not changed. */
export function jsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is a list of operations')
  return (patch as Operation[]).reduce(applyOperation, structuredClone(target))
}

function applyOperation(document: unknown, operation: Operation): unknown {
  const path = pointer(operation.path)
  switch (operation.op) {
    case 'add':
      return edit(document, path, (parent, key) => insert(parent, key, operation.value), operation.value)
    case 'remove':
      read(document, path)
      return edit(document, path, removeAt, undefined)
    case 'replace':
      read(document, path)
      return edit(document, path, (parent, key) => ((parent as Record<string, unknown>)[key] = operation.value), operation.value)
    case 'move': {
      const from = pointer(operation.from ?? '')
      const value = read(document, from)
      return applyOperation(edit(document, from, removeAt, undefined), { op: 'add', path: operation.path, value })
    }
    case 'copy':
      return applyOperation(document, { op: 'add', path: operation.path, value: structuredClone(read(document, pointer(operation.from ?? ''))) })
    case 'test':
      if (isDeepStrictEqual(read(document, path), operation.value)) return document
      throw doesNotApply(`testing value ${operation.path} failed`)
    default:
      throw badRequest(`unknown JSON patch operation ${operation.op}`)
  }
}

function pointer(path: unknown): string[] {
  if (typeof path !== 'string' || (path !== '' && !path.startsWith('/'))) throw badRequest(`${String(path)} is not a JSON pointer`)
  return path.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function read(document: unknown, path: string[]): unknown {
  return path.reduce((value, key) => {
    const container = Array.isArray(value) || isObject(value) ? (value as Record<string, unknown>) : undefined
    if (container === undefined || !Object.hasOwn(container, key)) throw doesNotApply(`the path /${path.join('/')} does not exist`)
    return container[key]
  }, document)
}

function edit(document: unknown, path: string[], change: (parent: unknown, key: string) => void, whole: unknown): unknown {
  if (path.length === 0) return whole
  const parent = read(document, path.slice(0, -1))
  if (!Array.isArray(parent) && !isObject(parent)) throw doesNotApply(`the path /${path.join('/')} does not exist`)
  change(parent, path.at(-1)!)
  return document
}

function insert(parent: unknown, key: string, value: unknown): void {
  if (!Array.isArray(parent)) return void ((parent as Record<string, unknown>)[key] = value)
  const index = key === '-' ? parent.length : Number(key)
  if (!Number.isInteger(index) || index < 0 || index > parent.length) throw doesNotApply(`the index ${key} is out of range`)
  parent.splice(index, 0, value)
}

function removeAt(parent: unknown, key: string): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete (parent as Record<string, unknown>)[key]
}

function doesNotApply(message: string): Refusal {
  return new Refusal(422, 'Invalid', `the server rejected our request due to an error in our request: ${message}`)
}
