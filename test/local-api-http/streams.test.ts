import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectPlain } from 'node:net'
import { test } from 'node:test'
import type { IncomingMessage } from 'node:http'
import { env, eventually, open, serve } from './served.ts'

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'
const configMap = (name: string): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } })

test('a watch sends each event when it happens', async (t) => {
  const { server, send } = await serve(t)
  const { json } = await send('GET', CONFIG_MAPS)
  const watch = await open(server, 'GET', `${CONFIG_MAPS}?watch=1&resourceVersion=${json.metadata.resourceVersion}`)
  assert.equal(watch.statusCode, 200, 'headers come before the first event')
  const lines = linesOf(watch)
  for (const name of ['one', 'two']) {
    await send('POST', CONFIG_MAPS, { body: configMap(name) })
    const event = JSON.parse((await lines.next()).value!)
    assert.deepEqual([event.type, event.object.kind, event.object.metadata.name], ['ADDED', 'ConfigMap', name])
  }
  watch.destroy()
})

test('a watch of tables sends rows', async (t) => {
  const { server, send } = await serve(t)
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
  await send('POST', CONFIG_MAPS, { body: configMap('one') })
  const watch = await open(server, 'GET', `${CONFIG_MAPS}?watch=1`, { headers: { accept } })
  const lines = linesOf(watch)
  const initial = JSON.parse((await lines.next()).value!)
  assert.deepEqual([initial.type, initial.object.kind, initial.object.rows[0].cells.slice(0, 2)], ['ADDED', 'Table', ['one', 0]])
  assert.equal(initial.object.columnDefinitions[0].format, 'name')
  await send('PATCH', `${CONFIG_MAPS}/one`, { body: { data: { a: 'b' } }, headers: { 'content-type': 'application/merge-patch+json' } })
  const modified = JSON.parse((await lines.next()).value!)
  assert.deepEqual([modified.type, modified.object.rows[0].cells.slice(0, 2)], ['MODIFIED', ['one', 1]])
  watch.destroy()
})

test('a watch whose client has gone ends in the API, and is in the audit log then', async (t) => {
  const { server, audit } = await serve(t)
  const watch = await open(server, 'GET', `${CONFIG_MAPS}?watch=true`)
  assert.equal(audit.filter(({ verb }) => verb === 'watch').length, 0)
  watch.destroy()
  await eventually('the watch in the audit log', () => audit.some(({ verb }) => verb === 'watch'))
  const [event] = audit.filter(({ verb }) => verb === 'watch')
  assert.deepEqual([event!.objectRef!.resource, event!.responseStatus.code], ['configmaps', 200])
})

test('close ends watches cleanly and returns within a second, whatever hangs on it', async (t) => {
  const { server } = await serve(t)
  const watch = await open(server, 'GET', `${CONFIG_MAPS}?watch=true`)
  const ended = watch.resume() && once(watch, 'end')
  const mute = connectPlain({ host: '127.0.0.1', port: server.port })
  mute.on('error', () => {})
  await once(mute, 'connect')
  const startedMs = env.clock.monotonic()
  await server.close()
  const tookMs = env.clock.monotonic() - startedMs
  assert.ok(tookMs < 1500, `close took ${tookMs} ms`)
  await ended
  assert.equal(watch.complete, true)
})

test('readiness says what is missing', async (t) => {
  const { send, notReady } = await serve(t)
  notReady.because = 'the operator has not synced'
  const answer = await send('GET', '/readyz', { token: '' })
  assert.deepEqual([answer.status, answer.text], [503, 'not ready: the operator has not synced\n'])
  assert.equal((await send('GET', '/livez', { token: '' })).status, 200)
})

test('logs stream as they are written, and stop when the reader goes', async (t) => {
  let ended = false
  let say: (text: string) => void = () => {}
  const { server, send } = await serve(t, {
    logs: {
      async *read(_pod, container, options, signal) {
        try {
          yield Buffer.from(`${container} ${JSON.stringify(options)}\n`)
          while (!signal!.aborted) {
            const next = await new Promise<string | undefined>((resolve) => {
              say = resolve
              signal!.addEventListener('abort', () => resolve(undefined), { once: true })
            })
            if (next !== undefined) yield Buffer.from(next)
          }
        } finally {
          ended = true
        }
      },
    },
  })
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [{ name: 'agent', image: 'x' }] } }
  assert.equal((await send('POST', '/api/v1/namespaces/default/pods', { body: pod })).status, 201)
  const log = await open(server, 'GET', '/api/v1/namespaces/default/pods/p/log?follow=true&tailLines=5')
  assert.match(String(log.headers['content-type']), /^text\/plain/)
  const lines = linesOf(log)
  assert.equal((await lines.next()).value, 'agent {"tailLines":5,"follow":true}')
  say('hello\n')
  assert.equal((await lines.next()).value, 'hello')
  log.destroy()
  await eventually('the end of the log reader', () => ended)
})

async function* linesOf(answer: IncomingMessage): AsyncGenerator<string, undefined> {
  let rest = ''
  for await (const chunk of answer) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  return undefined
}
