import { isDeepStrictEqual } from 'node:util'
import { isObject, ownField, setField } from './patch-merge.ts'
import { Refusal } from './statuses.ts'

type Fields = Record<string, unknown>

/** Lists that merge by a key, by the name of their field: what the served built-in kinds have. Other lists are replaced. */
const MERGE_KEYS: Record<string, string> = {
  containers: 'name',
  initContainers: 'name',
  ephemeralContainers: 'name',
  volumes: 'name',
  env: 'name',
  ports: 'containerPort',
  volumeMounts: 'mountPath',
  imagePullSecrets: 'name',
  secrets: 'name',
  conditions: 'type',
  addresses: 'type',
  ownerReferences: 'uid',
  podIPs: 'ip',
  hostIPs: 'ip',
}
/** Lists of plain values that merge as sets. */
const MERGED_SETS = new Set(['finalizers'])

/** Strategic merge patch of built-in kinds, with its directives. The target is not changed. */
export function strategicPatch(target: unknown, patch: unknown): unknown {
  return isObject(patch) ? mergeMap(isObject(target) ? target : {}, patch) : patch
}

function mergeMap(target: Fields, patch: Fields): Fields {
  if (patch['$patch'] === 'replace') return withoutDirectives(patch)
  if (patch['$patch'] !== undefined && patch['$patch'] !== 'merge') {
    throw cannotApply(`unknown patch type: ${asGo(patch['$patch'])} in map: ${asGo(patch)}`)
  }
  const merged: Fields = { ...target }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue
    if (value === null) delete merged[key]
    else if (Array.isArray(value)) setField(merged, key, mergeList(key, ownField(merged, key), value))
    else if (isObject(value)) mergeChild(merged, key, value)
    else setField(merged, key, value)
  }
  retainKeys(merged, patch['$retainKeys'])
  for (const [key, value] of Object.entries(patch)) applyListDirective(merged, target, key, value)
  return merged
}

function mergeChild(merged: Fields, key: string, patch: Fields): void {
  // A directive for a map that is not there does nothing, in the real server too.
  if (patch['$patch'] !== undefined && !Object.hasOwn(merged, key)) return
  if (patch['$patch'] === 'delete') delete merged[key]
  else {
    const before = ownField(merged, key)
    setField(merged, key, mergeMap(isObject(before) ? before : {}, patch))
  }
}

function mergeList(field: string, target: unknown, patch: unknown[]): unknown[] {
  const before = Array.isArray(target) ? (target as unknown[]) : []
  if (MERGED_SETS.has(field)) return inOrder([...before, ...patch.filter((value) => !before.includes(value))], patch, before)
  const mergeKey = MERGE_KEYS[field]
  if (mergeKey === undefined || !patch.every(isObject)) return patch.map(stripped)
  if (patch.some((item) => item['$patch'] === 'replace')) return patch.filter((item) => item['$patch'] !== 'replace').map(stripped)
  const keyless = patch.find((item) => !Object.hasOwn(item, mergeKey))
  if (keyless) throw cannotApply(`map: ${asGo(keyless)} does not contain declared merge key: ${mergeKey}`)
  const merged = patch.reduce<unknown[]>((list, item) => mergeItem(list, item, mergeKey), [...before])
  return inOrder(merged, patch, before, mergeKey)
}

function mergeItem(list: unknown[], item: Fields, mergeKey: string): unknown[] {
  const index = list.findIndex((existing) => isObject(existing) && isDeepStrictEqual(existing[mergeKey], item[mergeKey]))
  if (item['$patch'] === 'delete') return index < 0 ? list : list.toSpliced(index, 1)
  return index < 0 ? [...list, withoutDirectives(item)] : list.with(index, mergeMap(list[index] as Fields, item))
}

function applyListDirective(merged: Fields, before: Fields, directive: string, value: unknown): void {
  const [name, field] = directive.split('/')
  const list = field === undefined ? undefined : merged[field]
  if (!Array.isArray(list) || !Array.isArray(value) || field === undefined) return
  if (name === '$deleteFromPrimitiveList') merged[field] = list.filter((item) => !value.includes(item))
  if (name !== '$setElementOrder') return
  const old = ownField(before, field)
  merged[field] = inOrder(list as unknown[], value as unknown[], Array.isArray(old) ? (old as unknown[]) : [], MERGE_KEYS[field])
}

/** Items that the order names stand in that order, others in the one they had; what is new stands before others. */
function inOrder(list: unknown[], order: readonly unknown[], before: readonly unknown[], mergeKey?: string): unknown[] {
  const identity = (item: unknown): unknown => (mergeKey !== undefined && isObject(item) ? item[mergeKey] : item)
  const placeIn = (places: readonly unknown[], item: unknown): number =>
    places.findIndex((candidate) => isDeepStrictEqual(identity(candidate), identity(item)))
  const named = list.filter((item) => placeIn(order, item) >= 0).toSorted((a, b) => placeIn(order, a) - placeIn(order, b))
  const others = list.filter((item) => placeIn(order, item) < 0)
  const isBefore = (one: unknown, other: unknown): boolean => placeIn(before, one) >= 0 && placeIn(before, one) < placeIn(before, other)
  const ordered: unknown[] = []
  while (named.length > 0 && others.length > 0) ordered.push(isBefore(others[0], named[0]) ? others.shift() : named.shift())
  return [...ordered, ...named, ...others]
}

function retainKeys(merged: Fields, keys: unknown): void {
  if (!Array.isArray(keys)) return
  for (const key of Object.keys(merged)) if (!keys.includes(key)) delete merged[key]
}

function stripped(value: unknown): unknown {
  return isObject(value) ? withoutDirectives(value) : value
}

function withoutDirectives(value: Fields): Fields {
  return Object.fromEntries(Object.entries(value).filter(([key, inner]) => !key.startsWith('$') && inner !== null))
}

/** The real server does not expect these of a client: no reason, and 500. */
function cannotApply(message: string): Refusal {
  return new Refusal(500, '', message)
}

/** As Go prints a value. */
function asGo(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(asGo).join(' ')}]`
  if (!isObject(value)) return String(value)
  const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `map[${fields.map(([key, inner]) => `${key}:${asGo(inner)}`).join(' ')}]`
}
