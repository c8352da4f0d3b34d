/** A gateway alone in a process, so that its memory and its disk can be watched. Arguments: the agent's port, the spool folder. Says its port. */
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { Pools } from '../../src/gateway/proxy/pools.ts'
import { PlayedSessions, SCOPE, partsWith, runtimeOf } from './served.ts'

const [agentPort, spoolDirectory] = process.argv.slice(2)
const silent = (): void => {}
const env = { clock: systemClock, random: systemRandom, log: { debug: silent, info: silent, warn: silent, error: console.error } }
const options = {
  ...SCOPE,
  host: '127.0.0.1',
  port: 0,
  hosts: undefined,
  spoolDirectory: spoolDirectory!,
  spoolLimits: { perKeyBytes: 1e9, perAddressBytes: 1e9, totalBytes: 1e9 },
}
const sessions = new PlayedSessions({ uid: 'pod-1', sessionUID: 'session-1', address: '127.0.0.1', port: Number(agentPort) }, runtimeOf())
console.log((await new Gateway(env, options, partsWith(sessions, new Pools('none'))).listen()).port)
