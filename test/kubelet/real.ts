import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { MachineHost } from '../../src/local/kubelet/machine/machine-host.ts'
import { PodLogFiles } from '../../src/local/kubelet/machine/pod-logs.ts'
import type { PlacedPod } from '../../src/local/kubelet/process-host.ts'
import { quiet } from './kit.ts'

export const env = { clock: systemClock, random: systemRandom, log: quiet }

/** Generous: the machine may be slow, and shared. */
const PATIENCE_MS = 20_000

export async function until<Value>(what: string, look: () => Value | Promise<Value>): Promise<NonNullable<Value>> {
  const deadlineMs = systemClock.monotonic() + PATIENCE_MS
  for (;;) {
    const value = await look()
    if (value) return value
    if (systemClock.monotonic() > deadlineMs) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`)
    await new Promise<void>((resolve) => void systemClock.after(20, resolve))
  }
}

/** A folder of the test's own; its name has a space, as a user's may. */
export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'carrel kubelet '))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

export function write(root: string, files: Record<string, string>): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return root
}

export interface Machine {
  home: string
  host: MachineHost
  logs: PodLogFiles
  /** Starts a pod of these files; it is ended after the test. */
  run: (command: string[], files?: Record<string, string>, changes?: Partial<PlacedPod>) => Promise<PlacedPod & { pid: number }>
  output: (pod: PlacedPod) => Promise<string>
}

export function machine(t: TestContext, shell: Record<string, string | undefined> = process.env): Machine {
  const home = folder(t)
  const logs = new PodLogFiles(env, home)
  const host = new MachineHost(env, { home, logs, shell })
  let count = 0
  return {
    home,
    host,
    logs,
    async run(command, files = {}, changes = {}) {
      const pod = await planned(host, `uid-${++count}`, write(join(folder(t), 'code'), { 'README.md': '', ...files }), command, changes)
      const prepared = await host.prepare(pod)
      if ('failed' in prepared) throw new Error(prepared.message)
      const started = await host.start(pod)
      if ('failed' in started) throw new Error(started.message)
      t.after(() => host.signal(pod.uid, 'SIGKILL'))
      return { ...pod, pid: started.pid }
    },
    async output(pod) {
      let text = ''
      for await (const chunk of logs.read({ apiVersion: 'v1', kind: 'Pod', metadata: pod }, 'agent')) text += Buffer.from(chunk).toString()
      return text
    },
  }
}

export async function planned(
  host: MachineHost,
  uid: string,
  directory: string,
  command: string[],
  changes: Partial<PlacedPod> = {},
): Promise<PlacedPod> {
  return {
    uid,
    namespace: 'default',
    name: `pod-${uid}`,
    directory,
    command,
    environment: {},
    region: 'eu-west-1',
    ports: [8080],
    gracePeriodMs: 4_000,
    activeDeadlineMs: undefined,
    address: await host.nextAddress(),
    ...changes,
  }
}

/** Python for the tests: CARREL_TEST_PYTHON, else python3. Undefined: there is none, which CI does not accept. */
export function pythonOf(): { path: string; hasUvloop: boolean; hasSdk: boolean } | undefined {
  const path = process.env['CARREL_TEST_PYTHON'] ?? 'python3'
  try {
    const real = execFileSync(path, ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim()
    const has = (module: string): boolean => spawnSync(real, ['-c', `import ${module}`], { stdio: 'ignore' }).status === 0
    return { path: real, hasUvloop: has('uvloop'), hasSdk: has('bedrock_agentcore') }
  } catch {
    return undefined
  }
}

/** Skips where something is missing; with CI=true it is a failure instead. */
export function needs(t: TestContext, what: string, there: unknown): boolean {
  if (there) return true
  if (process.env['CI'] === 'true') throw new Error(`${what} is needed here and not there`)
  t.skip(`needs ${what}`)
  return false
}

export function realAddresses(): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? []).filter(({ internal }) => !internal).map(({ address, scopeid }) => (scopeid ? `${address}%${name}` : address)),
  )
}

/** 'reached', or why not. */
export function dial(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 2_000 })
    const end = (how: string): void => {
      socket.destroy()
      resolve(how)
    }
    socket.once('connect', () => end('reached'))
    socket.once('timeout', () => end('timeout'))
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'error'))
  })
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch {
    return false
  }
}

function isZombie(pid: number): boolean {
  try {
    return / Z /.test(execFileSync('cat', [`/proc/${pid}/stat`], { encoding: 'utf8' }))
  } catch {
    return true
  }
}
