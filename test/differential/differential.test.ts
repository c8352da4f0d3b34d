import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { needs } from '../kit/ring.ts'
import { check, type Checked } from './check.ts'
import type { Operation } from './operation.ts'
import { deleteIgnoresUid, lostEventAtStart, statusRaisesGeneration, type Plant } from './plants.ts'
import { startSides, type Sides } from './sides.ts'

const TRACES = Number(process.env['CARREL_DIFFERENTIAL_TRACES'] ?? 300)
const SEED = Number(process.env['CARREL_DIFFERENTIAL_SEED'] ?? 20_261_124)
/** What a planted bug must be found within. */
const CI_TRACES = 300
/** A difference that is shrunk is told by a few operations. */
const FEW_OPERATIONS = 4

let sides: Promise<Sides> | undefined
after(async () => (await sides)?.close())

async function compared(t: TestContext, traces: number, path?: string): Promise<Checked | undefined> {
  if (needs(t, 'CARREL_TEST_CONTROL_PLANE') === undefined) return undefined
  sides ??= startSides()
  const { embedded, real } = await sides
  return check([embedded, real], { traces, seed: SEED, ...(path === undefined ? {} : { path }) })
}

test('the embedded API answers random traces as a real kube-apiserver does', async (t) => {
  const checked = await compared(t, TRACES)
  if (checked === undefined) return
  assert.ok(!checked.differs, checked.differs ? checked.report : '')
  t.diagnostic(`${checked.traces} traces of ${checked.operations} operations, seed ${SEED}`)
})

async function found(t: TestContext, plant: Plant): Promise<readonly Operation[] | undefined> {
  const takeOut = plant()
  try {
    const checked = await compared(t, CI_TRACES)
    if (checked === undefined) return undefined
    assert.ok(checked.differs, `not found in ${CI_TRACES} traces`)
    const { operations } = checked.trace
    assert.ok(operations.length <= FEW_OPERATIONS, checked.report)
    const again = await compared(t, CI_TRACES, checked.path)
    assert.deepEqual(again?.differs && [again.trace, again.traces], [checked.trace, 1], 'its path plays it again at once')
    t.diagnostic(`found by trace ${checked.traces}\n${checked.report}`)
    return operations
  } finally {
    takeOut()
  }
}

test('a planted bug is found: a watch loses the first event after its resourceVersion', async (t) => {
  const operations = await found(t, lostEventAtStart)
  if (operations) assert.ok(operations.some(({ verb }) => verb === 'watch'))
})

test('a planted bug is found: DELETE ignores the uid precondition', async (t) => {
  const operations = await found(t, deleteIgnoresUid)
  if (operations) assert.ok(operations.some((operation) => operation.verb === 'delete' && operation.uid !== 'none'))
})

test('a planted bug is found: a status write raises the generation', async (t) => {
  const operations = await found(t, statusRaisesGeneration)
  if (operations) assert.ok(operations.some((operation) => 'subresource' in operation && operation.subresource === 'status'))
})
