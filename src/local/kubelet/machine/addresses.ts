/** Adapter: the counter of session addresses, in a file. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Random } from '../../../env/random.ts'

/** 127.1.0.1 to 127.255.255.254: 127.0.x.x is the machine's own, and no address ends in 0 or 255. */
const SECOND_BYTES = 255
const LAST_BYTES = 254
const HOW_MANY = SECOND_BYTES * 256 * LAST_BYTES
/** Reserved with one fsync. What is left of a block is lost by a restart. */
const BLOCK = 64

/** The address with this number, 0 to HOW_MANY - 1. */
export function addressAt(number: number): string {
  const last = (number % LAST_BYTES) + 1
  const third = Math.floor(number / LAST_BYTES) % 256
  const second = Math.floor(number / (LAST_BYTES * 256)) + 1
  return `127.${second}.${third}.${last}`
}

/**
 * Gives each address of the loopback once in the life of an installation, so that a stale cache's address answers to nobody
 * else. It starts somewhere by chance: another installation on the machine has its own part. When all are given, it says so.
 */
export class Addresses {
  readonly #file: string
  readonly #start: number
  #given: number
  #reserved: number

  constructor(home: string, random: Random) {
    this.#file = join(home, 'addresses.json')
    const held = readCounter(this.#file)
    this.#start = held?.start ?? Math.floor(random.fraction() * HOW_MANY)
    this.#given = this.#reserved = held?.reserved ?? 0
  }

  next(): string {
    if (this.#given >= HOW_MANY) {
      throw new Error(`every loopback address was given to a session once; stop the installation and remove ${this.#file} to begin again`)
    }
    if (this.#given >= this.#reserved) this.#reserve()
    return addressAt((this.#start + this.#given++) % HOW_MANY)
  }

  #reserve(): void {
    const reserved = Math.min(this.#given + BLOCK, HOW_MANY)
    writeDurably(this.#file, JSON.stringify({ start: this.#start, reserved }))
    this.#reserved = reserved
  }
}

function readCounter(file: string): { start: number; reserved: number } | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const { start, reserved } = JSON.parse(text) as { start: unknown; reserved: unknown }
    if (Number.isSafeInteger(start) && Number.isSafeInteger(reserved)) return { start: start as number, reserved: reserved as number }
  } catch {
    // said below
  }
  throw new Error(`${file} is damaged: remove it while the installation is stopped, and no agent of it runs`)
}

function writeDurably(file: string, text: string): void {
  const fresh = openSync(`${file}.new`, 'w', 0o600)
  try {
    writeSync(fresh, text)
    fsyncSync(fresh)
  } finally {
    closeSync(fresh)
  }
  renameSync(`${file}.new`, file)
  const folder = openSync(dirname(file), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
