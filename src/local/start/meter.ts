/** Adapter: the meter of this machine's pods, with its files and its port. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Env } from '../../env/env.ts'
import { ProcessTree } from '../../metering/readers/process-tree.ts'
import { writePrivate, type Home } from '../home.ts'
import type { MachineHost } from '../kubelet/machine/machine-host.ts'
import { serveMeter } from '../kubelet/meter/meter-server.ts'
import { meteredHost } from '../kubelet/meter/metered-host.ts'
import { PodMeter } from '../kubelet/meter/pod-meter.ts'
import { usageFiles } from '../kubelet/meter/usage-files.ts'
import type { ProcessHost } from '../kubelet/process-host.ts'

/** Settings of an operator that reads this meter. */
export interface MeterAccess {
  meterUrl: string
  meterSecret: string
}

export interface NodeMeter {
  /** The kubelet's; its pods are measured. */
  host: ProcessHost
  access: MeterAccess
  /** Measures until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
  /** When the pods are over. */
  close(): Promise<void>
}

/** `<home>/operator.env` gets what an operator in a process of its own needs to read it. */
export async function startMeter(env: Env, home: Home, host: MachineHost): Promise<NodeMeter> {
  const meter = new PodMeter(env, {
    openTree: (frozen) => new ProcessTree(frozen),
    processes: () => host.processesByPod(),
    store: usageFiles(home.root),
  })
  host.watchedBy(meter)
  const meterSecret = secretIn(home, env)
  const server = await serveMeter(meter, meterSecret)
  writePrivate(
    join(home.root, 'operator.env'),
    [
      '# For an operator in a process of its own: how it reads what sessions use. Written at each start.',
      `export CARREL_METER_URL=${server.url}`,
      `export CARREL_METER_SECRET=${meterSecret}`,
      '',
    ].join('\n'),
  )
  return {
    host: meteredHost(host, meter),
    access: { meterUrl: server.url, meterSecret },
    run: (signal) => meter.run(signal),
    close: () => server.close(),
  }
}

/** Made once. */
function secretIn(home: Home, env: Env): string {
  const path = join(home.root, 'meter-secret')
  if (existsSync(path)) return readFileSync(path, 'utf8').trim()
  const secret = Buffer.from(env.random.bytes(32)).toString('base64url')
  writePrivate(path, `${secret}\n`)
  return secret
}
