import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { serveMeter } from '../../src/local/kubelet/meter/meter-server.ts'
import { PodMeter } from '../../src/local/kubelet/meter/pod-meter.ts'
import { meterKey } from '../../src/metering/access.ts'
import type { MeteredPod } from '../../src/operator/env.ts'
import { httpMeters } from '../../src/operator/usage/meter-client.ts'
import { env } from './real.ts'

const SECRET = 'a-secret-of-at-least-thirty-two-characters'
const TREE = { read: () => ({ cpuSeconds: 1.5, memoryBytes: 300 * 2 ** 20 }), freeze: () => 'frozen' }
const STORE = { load: () => new Map<string, string>(), save: async () => {}, remove: async () => {} }

async function served(
  t: TestContext,
): Promise<{ meter: PodMeter; url: string; ask: (method: string, path: string, headers: Record<string, string>) => Promise<number> }> {
  const meter = new PodMeter(env, { openTree: () => TREE, processes: () => new Map(), store: STORE })
  const server = await serveMeter(meter, SECRET)
  t.after(() => server.close())
  const ask = (method: string, path: string, headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request(`${server.url}${path}`, { method, headers, agent: false }, (response) => {
        response.resume()
        response.once('end', () => resolve(response.statusCode!))
      })
      sent.once('error', reject).end()
    })
  return { meter, url: server.url, ask }
}

const asked = (uid: string, address?: string): MeteredPod => ({ uid, sessionUID: 'session-a', address })

const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` })

test('the operator reads a pod, and acknowledges its final report once', async (t) => {
  const { meter, url } = await served(t)
  const meters = httpMeters({ meterUrl: url, meterSecret: SECRET })
  t.after(() => meters.close())
  assert.equal(await meters.read(asked('pod-a')), 'unknown')
  meter.begin('pod-a', 1)
  const report = await meters.read(asked('pod-a'))
  assert.deepEqual(typeof report === 'object' && 'final' in report && [report.podUID, report.final, report.cpuSeconds], [
    'pod-a',
    false,
    1.5,
  ])
  await assert.rejects(meters.acknowledge('pod-a'), /409/)
  await meter.end('pod-a')
  const final = await meters.read(asked('pod-a'))
  assert.equal(typeof final === 'object' && 'final' in final && final.final, true)
  await meters.acknowledge('pod-a')
  await meters.acknowledge('pod-a')
  assert.equal(await meters.read(asked('pod-a')), 'unknown')
})

test('who has no key, or the key of another pod, learns nothing: not even which pods there are', async (t) => {
  const { meter, ask } = await served(t)
  meter.begin('pod-a', 1)
  for (const path of ['/usage/pod-a', '/usage/pod-b']) {
    for (const headers of [
      {},
      bearer(''),
      bearer('x'),
      bearer(SECRET),
      bearer(meterKey(SECRET, 'pod-c')),
      bearer(meterKey('another', 'pod-a')),
    ]) {
      assert.equal(await ask('GET', path, headers), 401)
      assert.equal(await ask('DELETE', path, headers), 401)
    }
  }
  assert.equal(await ask('GET', '/usage/pod-a', bearer(meterKey(SECRET, 'pod-a'))), 200)
})

test('a web page, another Host, another path or method gets nothing', async (t) => {
  const { meter, ask } = await served(t)
  meter.begin('pod-a', 1)
  const key = bearer(meterKey(SECRET, 'pod-a'))
  assert.equal(await ask('GET', '/usage/pod-a', { ...key, host: 'evil.example:80' }), 403)
  assert.equal(await ask('GET', '/usage/pod-a', { ...key, origin: 'https://evil.example' }), 403)
  for (const path of ['/', '/usage', '/usage/', '/usage/pod-a/x', '/usage/pod%2da', `/usage/${'a'.repeat(65)}`])
    assert.equal(await ask('GET', path, key), 404, path)
  assert.equal(await ask('POST', '/usage/pod-a', key), 405)
  assert.equal(await ask('GET', '/usage/pod-a', { ...key, padding: 'x'.repeat(8_000) }), 431)
})

test('the operator takes no report of another pod, no redirect, no flood, and waits a second at most', async (t) => {
  const meter = new PodMeter(env, { openTree: () => TREE, processes: () => new Map(), store: STORE })
  meter.begin('another', 1)
  const server = createServer((question, response) => {
    if (question.url === '/usage/other') return void response.end(JSON.stringify(meter.report('another')))
    if (question.url === '/usage/moved') return void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
    if (question.url === '/usage/flood') return void response.end(JSON.stringify({ filling: 'x'.repeat(200_000) }))
    if (question.url === '/usage/wrong') return void response.end('{"podUID":"wrong","sequence":-1}')
    // Everything else hangs.
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => void (server.closeAllConnections(), server.close()))
  const meters = httpMeters({ meterUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, meterSecret: SECRET })
  t.after(() => meters.close())
  await assert.rejects(meters.read(asked('other')), /another pod/)
  await assert.rejects(meters.read(asked('moved')), /302/)
  await assert.rejects(meters.read(asked('flood')))
  await assert.rejects(meters.read(asked('wrong')))
  const startedAtMs = env.clock.monotonic()
  await assert.rejects(meters.read(asked('hangs')))
  assert.ok(env.clock.monotonic() - startedAtMs < 5_000)
})

test('without a secret, or a meter to ask, nothing is metered; without a URL each pod has its own meter, which goes with it', async () => {
  assert.equal(await httpMeters({}).read(asked('pod-a', '127.0.0.1')), 'unmetered')
  assert.equal(await httpMeters({ meterSecret: SECRET }).read(asked('pod-a', '127.0.0.1')), 'unmetered')
  const own = httpMeters({ meterImage: 'carrel/carrel', meterSecret: SECRET })
  assert.equal(await own.read(asked('pod-a')), 'unmetered')
  await own.acknowledge('pod-a')
  await own.close()
})
