/** Random traces: few names, few kinds, three clients, and plain operations more often than odd ones. */
import fc from 'fast-check'
import { KINDS, type KindName } from './kinds.ts'
import type { Operation, Precondition, Trace } from './operation.ts'
import { SELECTORS } from './selectors.ts'

const client = fc.integer({ min: 0, max: 2 })
const kind = fc.constantFrom(0, 0, 0, 1)
const name = fc.constantFrom('a', 'a', 'a', 'b', 'b', 'c')
const base = { client, kind }
const named = { ...base, name }

/** Mostly the first, plain changes of a list; any of them at times. */
const change = fc.oneof({ weight: 3, arbitrary: fc.nat({ max: 7 }) }, { weight: 2, arbitrary: fc.nat({ max: 44 }) })
const changes = fc.array(change, { maxLength: 2 })
const selector = fc.oneof(fc.constant(0), fc.nat({ max: SELECTORS.length - 1 }))
const rarely = fc.constantFrom(false, false, false, false, false, false, false, true)

function precondition(mostly: Precondition): fc.Arbitrary<Precondition> {
  return fc.constantFrom<Precondition>(mostly, mostly, mostly, 'none', 'right', 'stale', 'wrong')
}

const subresource = fc.constantFrom('none' as const, 'none' as const, 'status' as const)
const graceSeconds = fc.constantFrom(undefined, undefined, 0, 7, 30, -1)

const create = fc.record({
  verb: fc.constant('create' as const),
  ...named,
  object: fc.constantFrom(0, 1, 0, 1, 2, 3, 4, 5),
  changes,
  dryRun: rarely,
})
const get = fc.record({ verb: fc.constant('get' as const), ...named })
const list = fc.record({
  verb: fc.constant('list' as const),
  ...base,
  selector,
  limit: fc.constantFrom(0, 0, 1, 2),
  from: fc.constantFrom('unset' as const, 'unset' as const, 'zero' as const),
})
const replace = fc.record({
  verb: fc.constant('replace' as const),
  ...named,
  subresource,
  base: fc.constantFrom('remembered' as const, 'remembered' as const, 'fresh' as const),
  changes,
  uid: precondition('right'),
  version: precondition('right'),
})
const patch = fc.record({
  verb: fc.constant('patch' as const),
  ...named,
  type: fc.constantFrom('merge' as const, 'merge' as const, 'json' as const, 'strategic' as const),
  subresource,
  change,
  uid: precondition('none'),
  version: precondition('none'),
})
const remove = fc.record({
  verb: fc.constant('delete' as const),
  ...named,
  uid: precondition('none'),
  version: precondition('none'),
  graceSeconds,
  policy: fc.constantFrom(undefined, 'Background' as const),
  dryRun: rarely,
})
const removeAll = fc.record({ verb: fc.constant('deletecollection' as const), ...base, selector, graceSeconds })
const watch = fc.record({
  verb: fc.constant('watch' as const),
  ...base,
  selector,
  from: fc.constantFrom(
    ...(['first', 'first', 'first', 'last', 'last', 'last', 'zero', 'zero', 'unset', 'unset', 'old', 'garbage'] as const),
  ),
})

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: create },
  { weight: 2, arbitrary: get },
  { weight: 3, arbitrary: list },
  { weight: 5, arbitrary: replace },
  { weight: 6, arbitrary: patch },
  { weight: 4, arbitrary: remove },
  { weight: 1, arbitrary: removeAll },
  { weight: 3, arbitrary: watch },
)

/**
 * A write through one face that changes nothing of an event which the other face wrote makes a new version of it in the
 * real server, by who manages which fields. That is no behaviour to imitate, so a trace keeps to one face.
 */
function hasOneFaceOfEvents(kinds: readonly KindName[]): boolean {
  return new Set(kinds.filter((kind) => KINDS[kind].plural === 'events')).size < 2
}

/** `only`: the kinds to choose from. Default: all. */
export function traces(only: readonly KindName[] = Object.keys(KINDS) as KindName[]): fc.Arbitrary<Trace> {
  return fc.record({
    kinds: fc.array(fc.constantFrom(...only), { minLength: 1, maxLength: 2 }).filter(hasOneFaceOfEvents),
    operations: fc.array(operation, { minLength: 1, maxLength: 24, size: 'max' }),
  })
}
