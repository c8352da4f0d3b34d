import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startHandKubelet } from './hand-kubelet.ts'
import { neverTwo } from './never-two.ts'

const SEEDS = Array.from({ length: 8 }, (_, index) => index + 1)

for (const seed of SEEDS)
  test(`seed ${seed}: a session's pods end in every way, nodes fall silent and operators die: one pod at a time, and calls find it`, async (t) => {
    const kubelet = await startHandKubelet(t, seed)
    const told = await neverTwo(kubelet, seed)
    t.diagnostic(told.join(', '))
    assert.deepEqual(kubelet.installation.errors, [])
  })
