import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Part } from '../control-plane/part.ts'
import type { Claim } from './claim.ts'

const execute = promisify(execFile)
const MOST_OUTPUT_BYTES = 16 * 1024 * 1024

/**
 * What the first process of a machine does. It ends when its input does, and by the kernel's rule everything in its process
 * namespace ends with it: containers, their shims, the kubelet. With the last of them go the network and the mounts.
 */
const FIRST_PROCESS = `
set -e
mount --make-rshared /
for directory in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs $directory; done
mkdir -p /run/lock
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
echo ready
read -r`

/** A machine of its own within this one: processes, network and mounts; only files, cgroups and the kernel are shared. */
export class Machine {
  readonly #claim: Claim
  readonly #holder: ChildProcess
  #firstPid = 0

  private constructor(claim: Claim) {
    this.#claim = claim
    const own = ['--fork', '--kill-child', '--pid', '--net', '--mount', '--mount-proc', '--propagation', 'private']
    this.#holder = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', ...own, 'bash', '-c', FIRST_PROCESS], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#holder.stdin!.on('error', () => {}) // it was ended from outside
  }

  static async start(claim: Claim): Promise<Machine> {
    const machine = new Machine(claim)
    const ended = once(machine.#holder, 'exit')
    await Promise.race([once(machine.#holder.stdout!, 'data'), ended])
    if (!machine.#isRunning) throw new Error('a process with its own network and mounts could not be made: see above')
    const pid = machine.#holder.pid!
    machine.#firstPid = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))
    await machine.#connect()
    return machine
  }

  /** Path of its network namespace, for nsenter --net. */
  get netns(): string {
    return `/proc/${this.#firstPid}/ns/net`
  }

  part(name: string, command: string[]): Part {
    return new Part(name, [...this.#inside(), 'setpriv', '--pdeathsig', 'KILL', ...command], join(this.#claim.directory, 'logs'))
  }

  /** A command to its end; its output. Throws with what it said when it fails. */
  async run(command: string[]): Promise<string> {
    const [program, ...parameters] = [...this.#inside(), ...command]
    const { stdout } = await execute(program!, parameters, { maxBuffer: MOST_OUTPUT_BYTES })
    return stdout
  }

  /** Resolves when every process of it is gone. */
  async stop(): Promise<void> {
    await this.#disconnect()
    if (!this.#isRunning) return
    const exit = once(this.#holder, 'exit')
    this.#holder.stdin!.end()
    await exit
  }

  get #isRunning(): boolean {
    return this.#holder.exitCode === null && this.#holder.signalCode === null
  }

  /** A cable to this machine, and the ways to the pods and Services over it. */
  async #connect(): Promise<void> {
    const { hostAddress, nodeAddress, podRange, serviceRange } = this.#claim
    await this.#disconnect()
    const commands = [
      `ip link add ${this.#cable} type veth peer name uplink netns ${this.#firstPid}`,
      `ip address add ${hostAddress}/30 dev ${this.#cable}`,
      `ip link set ${this.#cable} up`,
      `nsenter --net=${this.netns} ip address add ${nodeAddress}/30 dev uplink`,
      `nsenter --net=${this.netns} ip link set uplink up`,
      `ip route add ${podRange} via ${nodeAddress}`,
      `ip route add ${serviceRange} via ${nodeAddress}`,
    ]
    for (const command of commands) {
      const [program, ...parameters] = command.split(' ')
      await execute(program!, parameters)
    }
  }

  /** The kernel does it too, some time after the last process: a machine that comes next with this number is not to meet it. */
  async #disconnect(): Promise<void> {
    await execute('ip', ['link', 'delete', this.#cable]).catch(() => {}) // there is none
  }

  /** Its end on this machine. */
  get #cable(): string {
    return this.#claim.name.replace('carrel-cluster', 'carrel')
  }

  #inside(): string[] {
    return ['nsenter', '--target', String(this.#firstPid), '--mount', '--net', '--pid', '--']
  }
}
