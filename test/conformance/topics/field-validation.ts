/** fieldValidation, warnings, and fields that nobody knows. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { WORDS } from '../differences.ts'
import { configMap, runtime } from '../objects.ts'

const MODES = ['Strict', 'Warn', 'Ignore', undefined] as const
const queryOf = (mode: string | undefined): Record<string, string> => (mode ? { fieldValidation: mode } : {})

conformance('unknown fields of our kinds are refused, warned of or ignored, and never kept', async (on) => {
  const unknown = runtime('a', (made) => {
    made.extra = 1
    Object.assign(made.spec, { surplus: true, alsoNot: {} })
    made.spec.artifact.container.odd = 'x'
  })
  for (const mode of MODES) {
    const query = { ...queryOf(mode), dryRun: 'All' }
    const made = await on.call('POST', on.at('agentruntimes'), { query, body: unknown })
    assert.equal(made.status, mode === 'Strict' ? 400 : 201)
    assert.equal(made.headers.warning === undefined, mode !== 'Warn' && mode !== undefined)
  }
  await on.make('agentruntimes', runtime('b'))
  for (const mode of MODES) {
    const query = queryOf(mode)
    const { body: made } = await on.call('GET', on.at('agentruntimes', 'b'))
    const put = await on.call('PUT', on.at('agentruntimes', 'b'), {
      query,
      body: { ...made, metadata: { ...made.metadata, labels: { mode } }, spec: { ...made.spec, surplus: 1 } },
    })
    assert.equal(put.status, mode === 'Strict' ? 400 : 200)
    await on.call('PATCH', on.at('agentruntimes', 'b'), { query, body: { spec: { surplus: 1 } }, ...WORDS })
    await on.call('PATCH', on.at('agentruntimes', 'b', 'status'), { query, body: { status: { surplus: 1 } }, ...WORDS })
  }
  await on.call('POST', on.at('agentruntimes'), { query: { fieldValidation: 'Sideways' }, body: runtime('c') })
})

conformance('unknown fields of built-in kinds', async (on) => {
  const unknown = { ...configMap('a'), extra: 1 }
  for (const mode of MODES) {
    const query = { ...queryOf(mode), dryRun: 'All' }
    const made = await on.call('POST', on.at('configmaps'), { query, body: unknown })
    assert.equal(made.status, mode === 'Strict' ? 400 : 201)
    assert.equal(made.body.extra, undefined)
  }
  await on.make('configmaps', configMap('b'))
  for (const mode of MODES) await on.call('PATCH', on.at('configmaps', 'b'), { query: queryOf(mode), body: { extra: 1 }, ...WORDS })
})

conformance('a field given twice', async (on) => {
  const twice = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"1","a":"2"}}'
  for (const mode of MODES) {
    const query = { ...queryOf(mode), dryRun: 'All' }
    await on.call('POST', on.at('configmaps'), { query, body: twice, differs: 'a-field-twice' })
  }
})

conformance('metadata that nobody knows', async (on) => {
  const body = runtime('a', ({ metadata }) => Object.assign(metadata, { surplus: 1 }))
  for (const mode of MODES) {
    const query = { ...queryOf(mode), dryRun: 'All' }
    await on.call('POST', on.at('agentruntimes'), { query, body })
    await on.call('POST', on.at('configmaps'), { query, body: configMap('a', {}, { surplus: 1 }) })
  }
})
