import assert from 'node:assert/strict'
import type { AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { eventually } from '../kit/eventually.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { SESSION_HEADER, invocationPath, newSessionId, type RawAnswer } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'

const PATH = '/apis/carrel.dev/v1alpha1/namespaces/default/agentruntimes/probe'
const WITHIN_MS = 15_000

interface Boot {
  boot: string
  environment: Record<string, string>
}

everywhere(
  'a named endpoint runs the version that it is pinned to, beside DEFAULT under one session id, until it is pinned anew',
  async (t) => {
    const installation = await Installation.start(t)
    const { gateway, api } = installation
    const sessionId = newSessionId()
    const arn = await installation.apply(runtimeManifest('probe', { environment: { STAGE: 'first' } }))

    const call = (qualifier: string, operation?: string): Promise<RawAnswer> =>
      gateway.send({
        path: invocationPath(arn, operation),
        query: { qualifier },
        headers: { 'content-type': 'application/json', [SESSION_HEADER]: sessionId },
        body: operation ? '' : '{"do":"boot"}',
      })
    /** Each gateway hears of an endpoint in its own time. */
    const boot = async (qualifier: string): Promise<Boot> => {
      const known = async (): Promise<RawAnswer | false> => {
        const answer = await call(qualifier)
        return answer.status !== 404 && answer
      }
      const answer = await eventually(known, { withinMs: WITHIN_MS, because: `the gateway knows ${qualifier}` })
      assert.equal(answer.status, 200, answer.body)
      return JSON.parse(answer.body) as Boot
    }
    const change = async (spec: Partial<AgentRuntime['spec']>): Promise<AgentRuntime> => {
      const patched = await api.call<AgentRuntime>('PATCH', PATH, { spec }, 'application/merge-patch+json')
      assert.equal(patched.status, 200, JSON.stringify(patched.body))
      const seen = async (): Promise<AgentRuntime | false> => {
        const { body } = await api.call<AgentRuntime>('GET', PATH)
        return body.status?.observedGeneration === body.metadata.generation && body
      }
      return eventually(seen, { withinMs: WITHIN_MS, because: 'the operator has seen it' })
    }

    const environment = [{ name: 'STAGE', value: 'second' }]
    const pinned = [
      { name: 'prod', version: 1 },
      { name: 'future', version: 9 },
    ]
    const { status } = await change({ environment, endpoints: pinned })
    assert.deepEqual(
      status?.endpoints?.map(({ name, version }) => `${name} ${version}`),
      ['DEFAULT 2', 'prod 1'],
    )
    const unresolved = status?.conditions?.find(({ type }) => type === 'EndpointsResolved')
    assert.deepEqual([unresolved?.status, unresolved?.reason], ['False', 'VersionNotFound'])
    assert.match(unresolved!.message, /^endpoint future names version 9, which does not exist: the latest is 2$/)

    const [latest, first] = [await boot('DEFAULT'), await boot('prod')]
    assert.deepEqual([latest.environment['STAGE'], first.environment['STAGE']], ['second', 'first'])
    assert.notEqual(latest.boot, first.boot)
    for (const unknown of ['future', 'nobody']) {
      const refused = errorOf(await call(unknown))
      assert.deepEqual([refused.status, refused.type], [404, 'ResourceNotFoundException'])
      assert.match(refused.message, new RegExp(`has no endpoint ${unknown}$`))
    }

    await change({ endpoints: [{ name: 'prod', version: 2 }] })
    assert.equal((await boot('prod')).boot, first.boot, 'a pod keeps its version for life')
    assert.equal((await call('prod', 'stopruntimesession')).status, 200)
    const next = await boot('prod')
    assert.deepEqual([next.environment['STAGE'], next.boot === first.boot], ['second', false])
    assert.equal((await boot('DEFAULT')).boot, latest.boot, 'which nobody has stopped')
  },
)
