/** kubectl, whose validation and `explain` read the OpenAPI documents. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { kubectl } from '../kubectl.ts'
import { configMap, pod, runtime, session } from '../objects.ts'

const FEWER_KINDS = new Set(['get all'])
const KUBECTL = { needs: ['CARREL_TEST_KUBECTL'] } as const

conformance(
  'kubectl explains our kinds',
  async (on) => {
    for (const field of [
      'agentruntime.spec',
      'agentruntime.spec.artifact.container',
      'agentruntime.spec.resources.limits',
      'agentruntime.spec.resources.limits.cpu',
      'agentruntime.spec.placement.nodeSelector',
      'agentsession.spec.owner',
      'ags.status.phase',
      'art.nothing',
    ]) {
      await kubectl(on, ['explain', field])
    }
    await kubectl(on, ['explain', 'agentruntime.spec', '--recursive'])
  },
  KUBECTL,
)

conformance(
  'kubectl creates, validates, applies and edits',
  async (on) => {
    const said = async (words: string[], manifest: object, code = 0): Promise<void> =>
      assert.equal((await kubectl(on, [...words, '-f', '-'], manifest)).code, code)
    await said(['create', '--validate=strict'], runtime('a'))
    const surplus = runtime('b', ({ spec }) => Object.assign(spec, { surplus: 1 }))
    await said(['create', '--validate=strict'], surplus, 1)
    await said(['create', '--validate=warn'], surplus)
    await said(
      ['create', '--validate=ignore'],
      runtime('c', ({ spec }) => Object.assign(spec, { surplus: 1 })),
    )
    await said(
      ['create'],
      runtime('d', ({ spec }) => Object.assign(spec, { protocol: 'GOPHER' })),
      1,
    )
    await said(['apply'], runtime('e'))
    await said(['apply'], runtime('e'))
    await said(
      ['apply'],
      runtime('e', ({ spec }) => Object.assign(spec, { lifecycle: { idleTimeoutSeconds: 60 } })),
    )
    await said(['apply'], configMap('e', { a: '1' }))
    await said(['apply'], configMap('e', { b: '2' }))
    await said(['diff'], configMap('e', { b: '2' }))
    await said(['replace'], configMap('e', { c: '3' }))
    await said(['apply', '--dry-run=server'], session('x'))
    await said(['create'], pod('p'))
    for (const words of [
      ['label', 'pod', 'p', 'a=b'],
      ['annotate', 'art', 'a', 'a=b'],
      ['patch', 'art', 'a', '--type=merge', '-p', '{"spec":{"startTimeoutSeconds":7}}'],
      ['patch', 'cm', 'e', '-p', '{"data":{"d":"4"}}'],
      ['create', 'configmap', 'made', '--from-literal=a=1'],
      ['create', 'secret', 'generic', 'made', '--from-literal=a=1'],
      ['get', 'cm', 'e', '-o', 'jsonpath={.data}'],
      ['get', 'art,cm,pod', '--field-selector=metadata.name=a'],
      ['get', 'agentruntimes'],
      ['get', 'agentruntimes', '-o', 'wide'],
      ['get', 'pods', '-o', 'wide'],
      ['get', 'art', 'none'],
      ['get', 'nothing'],
      ['get', 'all'],
      ['get', 'carrel'],
      ['wait', '--for=jsonpath={.spec.startTimeoutSeconds}=7', 'art/a', '--timeout=5s'],
      ['auth', 'can-i', 'create', 'pods'],
      ['create', 'role', 'reader', '--verb=get,list', '--resource=pods,pods/log'],
      ['create', 'role', 'named', '--verb=get', '--resource=agentruntimes.carrel.dev', '--resource-name=a'],
      ['create', 'rolebinding', 'readers', '--role=reader', '--user=alice', '--group=devs', '--serviceaccount=default:default'],
      ['create', 'rolebinding', 'viewers', '--clusterrole=view', '--user=bob'],
      ['create', 'clusterrole', `${on.namespace}-paths`, '--verb=get', '--non-resource-url=/x/*', '--dry-run=server'],
      ['create', 'clusterrolebinding', `${on.namespace}-all`, '--clusterrole=cluster-admin', '--user=carol', '--dry-run=server'],
      ['get', 'roles,rolebindings', '-o', 'wide'],
      ['auth', 'can-i', 'get', 'pods', '--as=nobody'],
      ['auth', 'whoami', '--as=nobody', '--as-group=a', '--as-group=b'],
      ['create', 'token', 'none'],
      ['create', 'token', 'default', '--duration=1m'],
      ['delete', 'pod', 'p', '--now'],
      ['delete', 'art', '--all'],
      ['delete', 'cm', 'none', '--ignore-not-found'],
      ['delete', 'cm', 'none'],
    ])
      await kubectl(on, words, '', FEWER_KINDS.has(words.join(' ')) ? { differs: 'kinds-served' } : {})
  },
  KUBECTL,
)
