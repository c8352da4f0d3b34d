import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { TransportError } from '../../src/kube/errors.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { thing } from './objects.ts'

const MIB = 1024 * 1024

async function serving(t: TestContext, answer: (response: ServerResponse) => void): Promise<Transport> {
  const server = createServer((_request, response) => answer(response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const transport = httpTransport({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  t.after(async () => {
    await transport.close()
    server.closeAllConnections()
    server.close()
  })
  return transport
}

test('objects of some MiB come whole, and many of them add up to no limit', async (t) => {
  const large = thing('large', 1, 'large', { text: 'ü'.repeat(MIB) })
  const transport = await serving(t, (response) => response.end(`${JSON.stringify({ type: 'ADDED', object: large })}\n`.repeat(12)))
  let count = 0
  for await (const event of transport.watch({ path: '/things' })) {
    assert.deepEqual(event.object, large)
    count += 1
  }
  assert.equal(count, 12)
})

test('a line that never ends breaks the watch instead of filling the memory, and the socket is closed', { timeout: 60_000 }, async (t) => {
  const closed = Promise.withResolvers<void>()
  let writtenBytes = 0
  const transport = await serving(t, (response) => {
    response.on('close', () => closed.resolve())
    const more = (): void => {
      do writtenBytes += MIB
      while (response.write(Buffer.alloc(MIB, 'x')) && !response.destroyed)
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  })
  const reading = (async () => {
    for await (const event of transport.watch({ path: '/things' })) assert.fail(`an event: ${event.type}`)
  })()
  await assert.rejects(reading, (error) => error instanceof TransportError && /longer than 16777216 bytes/.test(error.message))
  await closed.promise
  assert.ok(writtenBytes < 64 * MIB, `the server had sent ${writtenBytes} bytes`)
})
