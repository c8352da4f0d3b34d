import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
import { inflateRawSync } from 'node:zlib'

const END_OF_DIRECTORY = 0x06054b50
const DEFLATED = 8

/** Unpacks the files of a zip archive that `wanted` names, below `folder`. Stored and deflated entries, no zip64. */
export function unzip(archive: string, folder: string, wanted: (name: string) => boolean): void {
  const bytes = readFileSync(archive)
  let end = bytes.length - 22
  while (end >= 0 && bytes.readUInt32LE(end) !== END_OF_DIRECTORY) end -= 1
  if (end < 0) throw new Error(`${archive} is no zip archive`)
  let at = bytes.readUInt32LE(end + 16)
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left -= 1) {
    const nameLength = bytes.readUInt16LE(at + 28)
    const name = bytes.toString('utf8', at + 46, at + 46 + nameLength)
    if (!name.endsWith('/') && wanted(name)) write(folder, name, contentOf(bytes, at))
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32)
  }
}

function contentOf(bytes: Buffer, entry: number): Buffer {
  const header = bytes.readUInt32LE(entry + 42)
  const start = header + 30 + bytes.readUInt16LE(header + 26) + bytes.readUInt16LE(header + 28)
  const packed = bytes.subarray(start, start + bytes.readUInt32LE(entry + 20))
  return bytes.readUInt16LE(entry + 10) === DEFLATED ? inflateRawSync(packed) : packed
}

function write(folder: string, name: string, content: Buffer): void {
  const path = join(folder, name)
  if (!resolve(path).startsWith(resolve(folder) + sep)) throw new Error(`${name} leaves the folder`)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}
