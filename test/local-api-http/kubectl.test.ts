import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { pathOf } from '../../src/kube/resource.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { kubectlFor } from './kubectl.ts'
import { eventually, serve } from './served.ts'
import type { Served } from './served.ts'

const runtime = (spec: object = {}): any => ({
  apiVersion: 'carrel.dev/v1alpha1',
  kind: 'AgentRuntime',
  metadata: { name: 'hello' },
  spec: { artifact: { code: { directory: 'examples/hello', command: ['node', 'agent.ts'] } }, ...spec },
})

const pod = (fields: object = {}): any => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', labels: { app: 'p' } },
  spec: {
    containers: [
      {
        name: 'agent',
        image: 'one',
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '2' },
        ],
      },
    ],
    ...fields,
  },
})

test('kubectl apply creates, leaves unchanged, and changes our kinds and built-in ones', async (t) => {
  const served = await serve(t)
  const kubectl = await kubectlFor(t, served)
  if (kubectl === undefined) return
  const apply = async (manifest: object): Promise<string> => {
    const { code, stdout, stderr } = await kubectl.pipe(manifest, 'apply', '-f', '-')
    assert.deepEqual([code, stderr], [0, ''])
    return stdout.trim()
  }
  assert.equal(await apply(runtime()), 'agentruntime.carrel.dev/hello created')
  assert.equal(await apply(runtime()), 'agentruntime.carrel.dev/hello unchanged')
  assert.equal(await apply(runtime({ lifecycle: { idleTimeoutSeconds: 60 } })), 'agentruntime.carrel.dev/hello configured')
  assert.equal(
    await kubectl.run('get', 'art', 'hello', '-o', 'jsonpath={.spec.lifecycle}'),
    '{"idleTimeoutSeconds":60,"maxLifetimeSeconds":28800,"stopGraceSeconds":4}',
  )

  assert.equal(await apply(pod()), 'pod/p created')
  assert.equal(await apply(pod()), 'pod/p unchanged')
  const changed = pod()
  changed.metadata.labels = { other: 'q' }
  changed.spec.containers[0].image = 'two'
  assert.equal(await apply(changed), 'pod/p configured')
  assert.equal(
    await kubectl.run('get', 'pod', 'p', '-o', 'jsonpath={.metadata.labels} {.spec.containers[*].image} {.spec.containers[0].env[*].name}'),
    '{"other":"q"} two A B',
  )

  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { a: 'b' } }
  assert.equal(await apply(secret), 'secret/s created')
  assert.equal(await apply({ ...secret, stringData: { a: 'c' } }), 'secret/s configured')
  assert.equal(await kubectl.run('get', 'secret', 's', '-o', 'jsonpath={.data.a}'), 'Yw==')
})

test('kubectl apply shows what the API refuses, and the old object stays', async (t) => {
  const served = await serve(t)
  const kubectl = await kubectlFor(t, served)
  if (kubectl === undefined) return
  await kubectl.pipe(runtime(), 'apply', '-f', '-')
  const unknown = await kubectl.pipe(runtime({ surplus: {} }), 'apply', '-f', '-')
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /unknown field "spec\.surplus"/)
  const wrong = await kubectl.pipe(runtime({ lifecycle: { idleTimeoutSeconds: 900, maxLifetimeSeconds: 60 } }), 'apply', '-f', '-')
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /spec\.lifecycle\.idleTimeoutSeconds: Invalid value/)
  const warned = await kubectl.pipe(runtime({ surplus: {} }), 'apply', '--validate=warn', '-f', '-')
  assert.equal(warned.code, 0)
  assert.match(warned.stderr, /Warning: unknown field "spec\.surplus"/)
  assert.equal(await kubectl.run('get', 'art', 'hello', '-o', 'jsonpath={.spec.surplus}{.metadata.generation}'), '1')
  const serverSide = await kubectl.pipe(runtime(), 'apply', '--server-side', '-f', '-')
  assert.equal(serverSide.code, 1)
  assert.match(serverSide.stderr, /server-side apply/i)
})

test('kubectl get prints our columns, by short name, by category, wide, as YAML and JSON', async (t) => {
  const served = await serve(t)
  const kubectl = await kubectlFor(t, served)
  if (kubectl === undefined) return
  await kubectl.pipe(runtime(), 'apply', '-f', '-')
  await kubectl.pipe(pod(), 'apply', '-f', '-')
  await writeStatus(served, { latestVersion: 2, conditions: [condition('Ready', 'True', 'Invocable')] })
  assert.match(await kubectl.run('get', 'art'), /^NAME +READY +VERSION +REASON +AGE\nhello +True +2 +Invocable +\d+s\n$/)
  assert.match(await kubectl.run('get', 'art', '-o', 'wide'), /^NAME +READY +VERSION +REASON +ARN +AGE\n/)
  const all = await kubectl.run('get', 'art,ags,pods')
  assert.match(all, /agentruntime\.carrel\.dev\/hello +True/)
  assert.match(all, /pod\/p +0\/1 +Pending +0 +\d+s/)
  assert.match(await kubectl.run('get', 'carrel'), /hello/)
  assert.match(await kubectl.run('get', 'art', '-A', '--show-labels'), /^NAMESPACE +NAME .*LABELS\ndefault +hello /)
  assert.match(await kubectl.run('get', 'pods', '-o', 'wide', '-l', 'app=p'), /NOMINATED NODE/)
  assert.match(await kubectl.run('get', 'art', 'hello', '-o', 'yaml'), /^ {2}status: "True"\n|status: "True"/m)
  assert.equal(JSON.parse(await kubectl.run('get', 'art', '-o', 'json')).items[0].kind, 'AgentRuntime')
  assert.equal((await kubectl.run('get', 'art', '-o', 'name')).trim(), 'agentruntime.carrel.dev/hello')
  assert.match(await kubectl.run('get', 'ns,no,cm,sa,ev,secrets,crd,leases,controllerrevisions'), /namespace\/carrel-system +Active/)
  assert.match((await kubectl.try('get', 'art', 'nothing')).stderr, /agentruntimes\.carrel\.dev "nothing" not found/)
})

test('kubectl get -w follows changes', async (t) => {
  const served = await serve(t)
  const kubectl = await kubectlFor(t, served)
  if (kubectl === undefined) return
  await kubectl.pipe(runtime(), 'apply', '-f', '-')
  const watching = kubectl.start('get', 'art', '-w')
  let seen = ''
  watching.stdout!.on('data', (chunk) => (seen += String(chunk)))
  await eventually('the first row', () => seen.includes('hello'))
  await writeStatus(served, { conditions: [condition('Ready', 'False', 'NoSuchDirectory')] })
  await eventually('the changed row', () => /hello +False +NoSuchDirectory/.test(seen))
  const ended = once(watching, 'close')
  await served.server.close()
  await ended
})

test('kubectl describe shows conditions and events', async (t) => {
  const served = await serve(t)
  const kubectl = await kubectlFor(t, served)
  if (kubectl === undefined) return
  await kubectl.pipe(runtime(), 'apply', '-f', '-')
  await writeStatus(served, { conditions: [condition('Accepted', 'True', 'Accepted')] })
  const { metadata } = JSON.parse(await kubectl.run('get', 'art', 'hello', '-o', 'json'))
  const event = await served.send('POST', '/apis/events.k8s.io/v1/namespaces/default/events', {
    body: {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: 'hello.1', namespace: 'default' },
      eventTime: new Date().toISOString().replace('Z', '000Z'),
      reportingController: 'carrel.dev/operator',
      reportingInstance: 'one',
      action: 'Reconcile',
      type: 'Normal',
      reason: 'VersionCreated',
      note: 'version 1 created',
      regarding: { apiVersion: 'carrel.dev/v1alpha1', kind: 'AgentRuntime', namespace: 'default', name: 'hello', uid: metadata.uid },
    },
  })
  assert.equal(event.status, 201, event.text)
  const described = await kubectl.run('describe', 'art', 'hello')
  assert.match(described, /Conditions:\n[\s\S]*Type: +Accepted/)
  assert.match(described, /Normal +VersionCreated +.*version 1 created/)
  assert.match(await kubectl.run('get', 'events'), /Normal +VersionCreated +agentruntime\/hello +version 1 created/)
  await kubectl.pipe(pod(), 'apply', '-f', '-')
  assert.match(await kubectl.run('describe', 'pod', 'p'), /Containers:\n +agent:/)
  assert.match(await kubectl.run('describe', 'ns', 'default'), /Status: +Active/)
})

test('kubectl label, annotate, patch, edit and replace change what they should', async (t) => {
  const served = await serve(t)
  const kubectl = await kubectlFor(t, served)
  if (kubectl === undefined) return
  await kubectl.pipe(runtime(), 'apply', '-f', '-')
  await kubectl.pipe(pod(), 'apply', '-f', '-')
  assert.match(await kubectl.run('label', 'art', 'hello', 'team=a'), /labeled/)
  assert.match(await kubectl.run('annotate', 'pod', 'p', 'why=because'), /annotated/)
  assert.match(await kubectl.run('label', 'pod', 'p', 'app-'), /unlabeled/)
  await kubectl.run('patch', 'art', 'hello', '--type=merge', '-p', '{"spec":{"startTimeoutSeconds":10}}')
  await kubectl.run('patch', 'art', 'hello', '--type=json', '-p', '[{"op":"replace","path":"/spec/startTimeoutSeconds","value":11}]')
  await kubectl.run('patch', 'pod', 'p', '-p', '{"spec":{"containers":[{"name":"agent","image":"three"}]}}')
  const read = await kubectl.run(
    'get',
    'art',
    'hello',
    '-o',
    'jsonpath={.metadata.labels.team} {.spec.startTimeoutSeconds} {.metadata.generation}',
  )
  assert.equal(read, 'a 11 3')
  assert.equal(
    await kubectl.run(
      'get',
      'pod',
      'p',
      '-o',
      'jsonpath={.spec.containers[0].image} {.spec.containers[0].env[*].name} {.metadata.labels.app}',
    ),
    'three A B ',
  )
  const editor = join(kubectl.directory, 'editor')
  await writeFile(editor, '#!/bin/sh\nsed -i "s/startTimeoutSeconds: 11/startTimeoutSeconds: 12/" "$1"\n', { mode: 0o755 })
  const edited = await kubectl.try('edit', 'art', 'hello')
  assert.match(edited.stdout, /edited/, edited.stderr)
  const stale = JSON.parse(await kubectl.run('get', 'art', 'hello', '-o', 'json'))
  assert.equal(stale.spec.startTimeoutSeconds, 12)
  await kubectl.run('label', 'art', 'hello', 'team=b', '--overwrite')
  const replaced = await kubectl.pipe(stale, 'replace', '-f', '-')
  assert.equal(replaced.code, 1)
  assert.match(replaced.stderr, /the object has been modified; please apply your changes to the latest version/)
})

test('kubectl create makes namespaces, secrets, config maps and service accounts', async (t) => {
  const served = await serve(t)
  const kubectl = await kubectlFor(t, served)
  if (kubectl === undefined) return
  assert.equal(await kubectl.run('create', 'namespace', 'team'), 'namespace/team created\n')
  await kubectl.run('create', 'secret', 'generic', 'keys', '-n', 'team', '--from-literal=model=sk-ünïcode', '--from-literal=empty=')
  await kubectl.run('create', 'configmap', 'settings', '-n', 'team', '--from-literal=a=b')
  await kubectl.run('create', 'serviceaccount', 'agent', '-n', 'team')
  const secret = JSON.parse(await kubectl.run('get', 'secret', 'keys', '-n', 'team', '-o', 'json'))
  assert.deepEqual([secret.type, secret.data], ['Opaque', { model: Buffer.from('sk-ünïcode').toString('base64'), empty: '' }])
  assert.equal('generation' in secret.metadata, false)
  assert.match(
    await kubectl.run('get', 'secret,cm,sa', '-n', 'team'),
    /secret\/keys +Opaque +2 [\s\S]*configmap\/settings +1 [\s\S]*serviceaccount\/agent /,
  )
  assert.match((await kubectl.try('create', 'secret', 'generic', 'keys', '-n', 'team')).stderr, /secrets "keys" already exists/)
  assert.match((await kubectl.try('create', 'secret', 'generic', 'x', '-n', 'nowhere')).stderr, /namespaces "nowhere" not found/)
})

test('kubectl delete waits for the end, and takes all', async (t) => {
  const served = await serve(t)
  const kubectl = await kubectlFor(t, served)
  if (kubectl === undefined) return
  await kubectl.pipe(runtime(), 'apply', '-f', '-')
  for (const name of ['one', 'two', 'three']) await kubectl.run('create', 'configmap', name)
  assert.match(await kubectl.run('delete', 'art', 'hello'), /"hello" deleted/)
  assert.match(await kubectl.run('delete', 'configmap', 'one'), /"one" deleted/)
  assert.equal((await kubectl.run('delete', 'configmap', '--all')).trim().split('\n').length, 2)
  assert.equal(await kubectl.run('get', 'configmaps', '-o', 'name'), '')
  await kubectl.run('create', 'namespace', 'team')
  await kubectl.run('create', 'configmap', 'inside', '-n', 'team')
  assert.match(await kubectl.run('delete', 'namespace', 'team'), /"team" deleted/)
  assert.match((await kubectl.try('delete', 'art', 'hello')).stderr, /not found/)
  assert.equal((await kubectl.try('delete', 'art', 'hello', '--ignore-not-found')).code, 0)
})

test('kubectl explain, api-resources, version and auth-free pages work', async (t) => {
  const served = await serve(t)
  const kubectl = await kubectlFor(t, served)
  if (kubectl === undefined) return
  assert.match(await kubectl.run('explain', 'art.spec.lifecycle.idleTimeoutSeconds'), /A session without calls/)
  assert.match(await kubectl.run('explain', 'ags.spec'), /sessionId/)
  assert.match(await kubectl.run('explain', 'pod.spec.containers'), /imagePullPolicy/)
  assert.match(
    await kubectl.run('api-resources', '--api-group=carrel.dev'),
    /agentruntimes +art +carrel\.dev\/v1alpha1 +true +AgentRuntime/,
  )
  assert.match(await kubectl.run('api-versions'), /^carrel\.dev\/v1alpha1$/m)
  assert.match(await kubectl.run('version'), /Server Version: v1\.37\.2\+carrel/)
  assert.equal(await kubectl.run('get', '--raw', '/readyz'), 'ok')
})

test('kubectl logs prints, tails and follows', async (t) => {
  let more: () => void = () => {}
  const served = await serve(t, {
    logs: {
      async *read(_pod, _container, { tailLines, follow }, signal) {
        yield Buffer.from(tailLines === 1 ? 'second\n' : 'first\nsecond\n')
        if (!follow) return
        await new Promise<void>((resolve) => {
          more = resolve
          signal!.addEventListener('abort', () => resolve(), { once: true })
        })
        yield Buffer.from('third\n')
      },
    },
  })
  const kubectl = await kubectlFor(t, served)
  if (kubectl === undefined) return
  await kubectl.pipe(pod(), 'apply', '-f', '-')
  assert.equal(await kubectl.run('logs', 'p'), 'first\nsecond\n')
  assert.equal(await kubectl.run('logs', 'p', '-c', 'agent', '--tail=1'), 'second\n')
  const following = kubectl.start('logs', '-f', 'p')
  let seen = ''
  following.stdout!.on('data', (chunk) => (seen += String(chunk)))
  const ended = once(following, 'close')
  await eventually('the first lines', () => seen === 'first\nsecond\n')
  more()
  await ended
  assert.equal(seen, 'first\nsecond\nthird\n')
  assert.match((await kubectl.try('logs', 'p', '-c', 'nothing')).stderr, /container nothing is not valid for pod p/)
})

test('kubectl wait sees a condition come', async (t) => {
  const served = await serve(t)
  const kubectl = await kubectlFor(t, served)
  if (kubectl === undefined) return
  await kubectl.pipe(runtime(), 'apply', '-f', '-')
  const waiting = kubectl.try('wait', '--for=condition=Ready', 'art/hello', '--timeout=30s')
  await writeStatus(served, { conditions: [condition('Ready', 'True', 'Invocable')] })
  assert.match((await waiting).stdout, /condition met/)
})

function condition(type: string, status: string, reason: string): object {
  return { type, status, reason, message: 'said by the test', lastTransitionTime: '2026-01-01T00:00:00Z' }
}

/** As the operator would, in the process. */
async function writeStatus({ api }: Served, status: object): Promise<void> {
  const operator = inProcessTransport(api, IDENTITIES.operator)
  const answer = await operator.request({
    method: 'PATCH',
    path: pathOf(AGENT_RUNTIMES, 'default', 'hello', 'status'),
    contentType: 'application/merge-patch+json',
    body: { status },
  })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
}
