/** The whole suite in one process: a real control plane takes seconds to start. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { met } from './conformance.ts'
import { DIFFERENCES } from './differences.ts'
import './topics/requests.ts'
import './topics/writes.ts'
import './topics/generation.ts'
import './topics/field-validation.ts'
import './topics/patches.ts'
import './topics/deletes.ts'
import './topics/collecting.ts'
import './topics/namespaces.ts'
import './topics/lists.ts'
import './topics/watches.ts'
import './topics/tables.ts'
import './topics/discovery.ts'
import './topics/built-in-kinds.ts'
import './topics/pods.ts'
import './topics/events.ts'
import './topics/admission.ts'
import './topics/kubectl.ts'
import './topics/roles.ts'
import './topics/rbac.ts'
import './topics/rbac-random.ts'
import './topics/escalation.ts'
import './topics/reviews.ts'
import './topics/tokens.ts'
import { needs } from '../kit/ring.ts'

test('each listed difference was met', (t) => {
  if (needs(t, 'CARREL_TEST_CONTROL_PLANE') === undefined || needs(t, 'CARREL_TEST_KUBECTL') === undefined) return
  assert.deepEqual([...met].toSorted(), Object.keys(DIFFERENCES).toSorted())
})
