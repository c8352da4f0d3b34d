/** Adapter: the meter beside an agent as a process of its own. All its wiring. It writes a line when it listens, and on faults. */
import { systemClock } from '../../env/system.ts'
import { METER_PORT } from '../access.ts'
import { openGuest } from '../readers/guest.ts'
import { pingAgent } from './agent-ping.ts'
import { AgentWatch } from './agent-watch.ts'
import { PodUsage } from './pod-usage.ts'
import { serveSidecar } from './server.ts'
import { takeSettings, type SidecarSettings } from './settings.ts'

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0))

const settings = settingsOrExit()
const { key, podUID, agentPort, host } = settings
const sight = openGuest('/')
const usage = new PodUsage(systemClock, podUID, sight, (message) => say('warn', message))
const watch = new AgentWatch(systemClock, () => pingAgent(agentPort))

try {
  const view = { key, podUID, usage: () => usage.report(), agent: () => watch.state }
  await serveSidecar(view, { host, port: METER_PORT })
  say('info', `listens on port ${METER_PORT}; ${'notVisible' in sight ? `measures nothing: ${sight.notVisible}` : 'measures the guest'}`)
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException
  fail(
    code === 'EADDRINUSE'
      ? `port ${METER_PORT} is taken: the agent must leave it to the meter, or the pod cannot be proven and gets no calls`
      : `cannot listen: ${message}`,
  )
}

const never = new AbortController().signal
void usage.run(never)
void watch.run(never)

function settingsOrExit(): SidecarSettings {
  try {
    return takeSettings(process.env)
  } catch (error) {
    fail((error as Error).message)
  }
}

function fail(message: string): never {
  say('error', message)
  process.exit(1)
}

function say(level: 'info' | 'warn' | 'error', message: string): void {
  process.stderr.write(`${JSON.stringify({ level, time: systemClock.now(), name: 'meter', msg: message })}\n`)
}
