import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { setInterval } from 'node:timers/promises'
import { needs } from '../kit/ring.ts'

/** Every script begins with this: `report` says what the kernel says of the caller and of those that it waited for. */
const PRELUDE = `
import hashlib, os, resource, signal, sys, threading, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
def used():
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
def report(seconds): print(seconds, flush=True)
def told(): sys.stdin.readline()
`

/** A tree of processes that burns CPU, in a session of its own, by which it is found. */
export class Burning {
  readonly #leader: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: Interface

  private constructor(leader: ChildProcessByStdio<Writable, Readable, null>) {
    this.#leader = leader
    this.#lines = createInterface({ input: leader.stdout })
  }

  static start(t: TestContext, script: string): Burning | undefined {
    const python = needs(t, 'CARREL_TEST_PYTHON')
    if (python === undefined) return undefined
    const leader = spawn(python, ['-c', PRELUDE + script], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] })
    const burning = new Burning(leader)
    t.after(() => burning.kill())
    return burning
  }

  /** Live processes of the tree. */
  pids(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => this.#holds(pid))
  }

  #holds(pid: number): boolean {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return fields[3] === String(this.#leader.pid) && fields[0] !== 'Z'
    } catch {
      return false
    }
  }

  /** The next line that the script writes, as a number; `look` is called ten times a second until it comes. */
  async said(look: () => void): Promise<number> {
    const line = new Promise<string>((resolve, reject) => {
      this.#lines.once('line', resolve)
      this.#lines.once('close', () => reject(new Error('the script ended before it said anything')))
    })
    const isOver = new AbortController()
    const looking = lookUntil(isOver.signal, look)
    try {
      return Number(await line)
    } finally {
      isOver.abort()
      await looking
    }
  }

  tell(): void {
    this.#leader.stdin.write('\n')
  }

  kill(): void {
    for (const pid of this.pids()) process.kill(pid, 'SIGKILL')
  }
}

async function lookUntil(signal: AbortSignal, look: () => void): Promise<void> {
  try {
    for await (const _ of setInterval(100, undefined, { signal })) look()
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
