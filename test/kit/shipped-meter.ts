/** The meter that ships beside agents, as a process of its own at one loopback address. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { UpstreamPod } from '../../src/gateway/upstream.ts'
import { sessionMeterKey } from '../../src/metering/access.ts'
import { METER_ENVIRONMENT, METER_FLAGS } from '../../src/metering/sidecar/command.ts'
import { eventually } from './eventually.ts'

const READY_WITHIN_MS = 30_000

export interface ShippedMeter {
  pid: number
  stop(): Promise<void>
}

/** Listening, with the key that the installation's secret gives the pod's session. */
export async function startShippedMeter({ uid, sessionUID, address, port }: UpstreamPod, secret: string): Promise<ShippedMeter> {
  const main = fileURLToPath(import.meta.resolve('../../src/metering/sidecar/main.ts'))
  const settings = {
    CARREL_METER_KEY: sessionMeterKey(secret, sessionUID),
    CARREL_METER_POD_UID: uid,
    CARREL_METER_AGENT_PORT: String(port),
    CARREL_METER_HOST: address,
  }
  const child = spawn(process.execPath, [...METER_FLAGS, main], {
    env: { ...process.env, ...METER_ENVIRONMENT, ...settings },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += String(chunk)))
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  const listens = (): boolean => {
    assert.equal(child.exitCode, null, said)
    return said.includes('listens')
  }
  try {
    await eventually(listens, { withinMs: READY_WITHIN_MS, because: 'the meter listens' })
  } catch (error) {
    await stop()
    throw error
  }
  return { pid: child.pid!, stop }
}
