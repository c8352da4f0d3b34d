import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { systemRandom } from '../../src/env/system.ts'
import { meterProof } from '../../src/gateway/proxy/prove.ts'
import { METER_PORT } from '../../src/metering/access.ts'
import { listening, ownAddress, POD_UID, SECRET, SESSION_UID, startSidecar } from './sidecar-process.ts'

const prove = meterProof({ random: systemRandom, secret: SECRET })
const podAt = (address: string) => ({ uid: POD_UID, sessionUID: SESSION_UID, address, port: 8080 })

test("a gateway takes the running meter's word for its own pod, and for no other pod, session or installation", async (t) => {
  const { address } = await listening(startSidecar(t))
  assert.equal(await prove(podAt(address)), 'proven')
  assert.equal(await prove(podAt(address)), 'proven', 'each time anew')
  assert.equal(await prove({ ...podAt(address), uid: 'pod-before' }), 'otherPod')
  assert.equal(await prove({ ...podAt(address), sessionUID: 'session-before' }), 'otherPod')
  assert.equal(await meterProof({ random: systemRandom, secret: `${SECRET}-of-another` })(podAt(address)), 'otherPod')
})

test('an agent that has the port of the meter proves nothing, even with what the meter of its pod said before', async (t) => {
  const real = await listening(startSidecar(t))
  const heard = await new Promise<string>((resolve, reject) => {
    // The gateway asks; the agent, between them, keeps the answer.
    const between = createServer((request, response) => {
      fetch(`http://${real.address}:${METER_PORT}${request.url}`)
        .then((answer) => answer.text())
        .then((text) => {
          response.end(text)
          resolve(text)
        })
        .catch(reject)
    })
    const address = ownAddress()
    t.after(() => void (between.closeAllConnections(), between.close()))
    between.listen(METER_PORT, address, () => void prove(podAt(address)))
  })
  const address = ownAddress()
  const squatter = createServer((_, response) => void response.end(heard))
  await new Promise<void>((resolve) => squatter.listen(METER_PORT, address, resolve))
  t.after(() => void (squatter.closeAllConnections(), squatter.close()))
  assert.equal(await prove(podAt(address)), 'otherPod')
})
