import { isDeepStrictEqual } from 'node:util'
import { isObject, ownField, setField } from './patch-merge.ts'

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
  const merged: Fields = { ...target }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue
    if (value === null) delete merged[key]
    else if (Array.isArray(value)) setField(merged, key, mergeList(key, ownField(merged, key), value))
    else if (isObject(value)) mergeChild(merged, key, value)
    else setField(merged, key, value)
  }
  retainKeys(merged, patch['$retainKeys'])
  for (const [key, value] of Object.entries(patch)) applyListDirective(merged, key, value)
  return merged
}

function mergeChild(merged: Fields, key: string, patch: Fields): void {
  if (patch['$patch'] === 'delete') delete merged[key]
  else {
    const before = ownField(merged, key)
    setField(merged, key, mergeMap(isObject(before) ? before : {}, patch))
  }
}

function mergeList(field: string, target: unknown, patch: unknown[]): unknown[] {
  const before = Array.isArray(target) ? (target as unknown[]) : []
  if (MERGED_SETS.has(field)) return [...before, ...patch.filter((value) => !before.includes(value))]
  const mergeKey = MERGE_KEYS[field]
  if (mergeKey === undefined || !patch.every(isObject)) return patch.map(stripped)
  if (patch.some((item) => item['$patch'] === 'replace')) return patch.filter((item) => item['$patch'] !== 'replace').map(stripped)
  return patch.reduce<unknown[]>((list, item) => mergeItem(list, item, mergeKey), [...before])
}

function mergeItem(list: unknown[], item: Fields, mergeKey: string): unknown[] {
  const index = list.findIndex((existing) => isObject(existing) && isDeepStrictEqual(existing[mergeKey], item[mergeKey]))
  if (item['$patch'] === 'delete') return index < 0 ? list : list.toSpliced(index, 1)
  return index < 0 ? [...list, withoutDirectives(item)] : list.with(index, mergeMap(list[index] as Fields, item))
}

function applyListDirective(merged: Fields, directive: string, value: unknown): void {
  const [name, field] = directive.split('/')
  const list = field === undefined ? undefined : merged[field]
  if (!Array.isArray(list) || !Array.isArray(value) || field === undefined) return
  if (name === '$deleteFromPrimitiveList') merged[field] = list.filter((item) => !value.includes(item))
  if (name === '$setElementOrder') merged[field] = inOrder(list as unknown[], value as unknown[], MERGE_KEYS[field])
}

/** Items named in the order come first, in that order; others keep theirs. */
function inOrder(list: unknown[], order: unknown[], mergeKey: string | undefined): unknown[] {
  const identity = (item: unknown): unknown => (mergeKey !== undefined && isObject(item) ? item[mergeKey] : item)
  const places = order.map(identity)
  const placeOf = (item: unknown): number => {
    const place = places.findIndex((candidate) => isDeepStrictEqual(candidate, identity(item)))
    return place < 0 ? places.length : place
  }
  return list.toSorted((a, b) => placeOf(a) - placeOf(b))
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
