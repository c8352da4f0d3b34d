import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { METER_PORT, proofRequest, sessionMeterKey } from '../../src/metering/access.ts'
import { systemClock } from '../../src/env/system.ts'
import { openGuest } from '../../src/metering/readers/guest.ts'
import { PodUsage, type Sight } from '../../src/metering/sidecar/pod-usage.ts'
import { serveSidecar } from '../../src/metering/sidecar/server.ts'
import type { MeteredPod } from '../../src/operator/env.ts'
import { httpMeters } from '../../src/operator/usage/meter-client.ts'
import { freePort } from '../kit/free-port.ts'
import { GUEST, guestFiles, TICKS_PER_SECOND } from './guest-files.ts'
import { KEY, ownAddress, POD_UID, SECRET, SESSION_UID } from './sidecar-process.ts'

/** A meter in this process; `key` as it would be for another session. */
async function beside(t: TestContext, sight: Sight, { podUID = POD_UID, key = KEY } = {}): Promise<MeteredPod> {
  const address = ownAddress()
  const usage = new PodUsage(systemClock, podUID, sight, () => {})
  const agent = { status: 'Healthy', since: '2026-11-24T08:00:00.000Z' } as const
  const server = await serveSidecar({ key, podUID, usage: () => usage.report(), agent: () => agent }, { host: address, port: METER_PORT })
  t.after(() => void (server.closeAllConnections(), server.close()))
  return { uid: podUID, sessionUID: SESSION_UID, address }
}

function reader(t: TestContext): ReturnType<typeof httpMeters> {
  const meters = httpMeters({ meterImage: 'carrel/carrel', meterSecret: SECRET })
  t.after(() => meters.close())
  return meters
}

test('the operator reads what the pod used as of now, as seen from inside its guest', async (t) => {
  const { root, set } = guestFiles(t)
  const pod = await beside(t, openGuest(root, TICKS_PER_SECOND))
  const meters = reader(t)
  const first = await meters.read(pod)
  set({ cpu: GUEST.cpu.map((ticks, at) => (at === 0 ? ticks + 300 : ticks)) })
  const second = await meters.read(pod)
  assert.ok(typeof first === 'object' && 'sequence' in first && typeof second === 'object' && 'sequence' in second)
  assert.deepEqual([first.cpuSeconds, first.source, first.final, first.podUID], [0, 'Guest', false, POD_UID])
  assert.equal(second.cpuSeconds.toFixed(3), '3.000')
  assert.ok(second.sequence > first.sequence)
  await meters.acknowledge(POD_UID)
})

test('of a pod that its meter cannot see, the operator hears why', async (t) => {
  const pod = await beside(t, { notVisible: 'it shares its kernel' })
  assert.deepEqual(await reader(t).read(pod), { notVisible: 'it shares its kernel' })
})

test('a counter that cannot be read for a while costs no figure: the next reading makes up for it', () => {
  let reads = 0
  const warnings: string[] = []
  const sight = {
    read() {
      reads += 1
      if (reads === 2 || reads === 3) throw new Error('the file is gone')
      return { cpuSeconds: reads, memoryBytes: 300 * 2 ** 20 }
    },
  }
  const usage = new PodUsage(systemClock, POD_UID, sight, (message) => void warnings.push(message))
  const reports = [1, 2, 3, 4].map(() => usage.report())
  assert.deepEqual(
    reports.map((report) => 'cpuSeconds' in report && [report.cpuSeconds, report.sequence]),
    [
      [1, 1],
      [1, 1],
      [1, 1],
      [4, 2],
    ],
  )
  assert.equal(warnings.length, 1, 'told once')
})

test('the meter of another pod or session at a reused address gives the operator nothing', async (t) => {
  const { root } = guestFiles(t)
  const sight = openGuest(root, TICKS_PER_SECOND)
  const meters = reader(t)
  const otherPod = await beside(t, sight, { podUID: 'pod-after' })
  await assert.rejects(meters.read({ ...otherPod, uid: POD_UID }), /without its seal/)
  const otherSession = await beside(t, sight, { key: sessionMeterKey(SECRET, 'another') })
  await assert.rejects(meters.read(otherSession), /without its seal/)
})

test('what an agent that has taken the port says of its usage is not believed', async (t) => {
  const forged = { podUID: POD_UID, sequence: 9, final: true, cpuSeconds: 0, memoryPeakByteSeconds: 0, memoryInUseByteSeconds: 0 }
  const rest = { memoryBytes: 0, peakBytes: 0, measuredSeconds: 1, bridgedSeconds: 0, missedSeconds: 0, source: 'Guest' }
  const address = ownAddress()
  let seal: string | undefined
  const squatter = createServer((request, response) => {
    // It has heard the bearer and the nonce, and knows how seals are made.
    const { authorization } = request.headers
    const nonce = String(request.headers['carrel-nonce'])
    seal = proofRequest(authorization!.slice('Bearer '.length), nonce, POD_UID)
    response.writeHead(200, { 'carrel-seal': seal }).end(JSON.stringify({ ...forged, ...rest }))
  })
  await new Promise<void>((resolve) => squatter.listen(METER_PORT, address, resolve))
  t.after(() => void (squatter.closeAllConnections(), squatter.close()))
  await assert.rejects(
    reader(t).read({ uid: POD_UID, sessionUID: SESSION_UID, address }),
    /without its seal: is another program on port 9465/,
  )
  assert.ok(seal, 'it was asked')
})

test('it listens on every address, of IPv6 too where there is one', async (t) => {
  const port = await freePort()
  const server = await serveSidecar(
    { key: KEY, podUID: POD_UID, usage: () => ({ notVisible: '' }), agent: () => ({ status: 'Unknown', since: '' }) },
    { host: undefined, port },
  )
  t.after(() => void (server.closeAllConnections(), server.close()))
  const hosts = ['127.0.0.1', '127.0.0.9', ...((server.address() as AddressInfo).family === 'IPv6' ? ['::1'] : [])]
  for (const host of hosts) {
    const socket = connect(port, host)
    await once(socket, 'connect')
    socket.destroy()
  }
})
