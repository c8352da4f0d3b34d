import { systemClock, systemRandom } from '../../../src/env/system.ts'
import { MachineHost } from '../../../src/local/kubelet/machine/machine-host.ts'
import { PodLogFiles } from '../../../src/local/kubelet/machine/pod-logs.ts'
import { planned, write } from '../real.ts'

/** An installation that starts one agent and says so, to be killed at once. Its folder is the argument. */
const home = process.argv[2]!
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const env = { clock: systemClock, random: systemRandom, log: quiet }
const host = new MachineHost(env, { home, logs: new PodLogFiles(env, home), shell: process.env })
const pod = await planned(host, 'orphan', write(`${home}/code`, { x: '' }), ['sleep', '600'])
await host.prepare(pod)
const started = await host.start(pod)
if ('pid' in started) process.stdout.write(`${home}\t${started.pid}\n`)
