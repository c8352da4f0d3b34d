/**
 * `kubectl create` sends its object in Kubernetes' protobuf and, refused (415), does not try JSON: of a namespace, secret,
 * config map, service account, token, role or binding; and so does `kubectl auth`. So bodies of these kinds are read; answers
 * are never written in it (kubectl lists JSON too).
 * Field numbers: generated.proto of k8s.io/api/core/v1 and apimachinery's meta/v1. A field that is not in the tables is
 * refused, not dropped.
 */
import { fieldsOf, type Fields, type Shape } from './protobuf-fields.ts'

const TYPE_META: Fields = { 1: ['apiVersion', 'string'], 2: ['kind', 'string'] }
const UNKNOWN: Fields = {
  1: ['typeMeta', { message: TYPE_META }],
  2: ['raw', 'bytes'],
  3: ['contentEncoding', 'string'],
  4: ['contentType', 'string'],
}

const MAGIC = Buffer.from('k8s\0')

/** The object, in the shape that its JSON would have. Throws an Error that says what to do instead. */
export function decodeProtobuf(bytes: Uint8Array): object {
  const all = Buffer.from(bytes)
  if (!all.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('this is no Kubernetes protobuf')
  const { typeMeta, raw } = messageOf(all.subarray(MAGIC.length), UNKNOWN, 'runtime.Unknown') as { typeMeta?: TypeMeta; raw?: string }
  const { apiVersion = '', kind = '' } = typeMeta ?? {}
  const fields = fieldsOf(apiVersion, kind)
  if (fields === undefined)
    throw new Error(`a ${kind || 'nameless kind'} of ${apiVersion} is not read from protobuf: send it as application/json`)
  return { apiVersion, kind, ...messageOf(Buffer.from(raw ?? '', 'base64'), fields, kind) }
}

interface TypeMeta {
  apiVersion?: string
  kind?: string
}

type Value = string | number | boolean | object | undefined

/** Empty strings are absent: the encoder writes every plain string, also where JSON would leave it out. */
function messageOf(bytes: Buffer, fields: Fields, what: string): Record<string, Value> {
  const message: Record<string, Value> = {}
  for (const { number, value } of fieldsIn(bytes)) {
    const field = fields[number]
    if (field === undefined) throw new Error(`field ${number} of ${what} is not read from protobuf: send it as application/json`)
    const [name, shape] = field
    if (typeof shape === 'object' && 'list' in shape)
      message[name] = [...((message[name] ?? []) as Value[]), valueOf(value, shape.list, name)]
    else if (typeof shape === 'object' && 'map' in shape)
      message[name] = { ...(message[name] as object), ...entryOf(bytesIn(value), shape.map) }
    else message[name] = valueOf(value, shape, name)
    if (message[name] === '' || message[name] === undefined) delete message[name]
  }
  return message
}

function valueOf(value: Buffer | bigint, shape: Shape, what: string): Value {
  if (shape === 'int') return Number(BigInt.asIntN(64, numberIn(value)))
  if (shape === 'count') return Number(numberIn(value)) || undefined
  if (shape === 'bool') return numberIn(value) !== 0n
  const bytes = bytesIn(value)
  if (shape === 'string') return bytes.toString('utf8')
  if (shape === 'bytes') return bytes.toString('base64')
  if (shape === 'time') return timeOf(bytes)
  return 'message' in shape ? messageOf(bytes, shape.message, what) : undefined
}

function entryOf(bytes: Buffer, shape: 'string' | 'bytes'): Record<string, Value> {
  let key = ''
  let value: Value = ''
  for (const field of fieldsIn(bytes)) {
    if (field.number === 1) key = bytesIn(field.value).toString('utf8')
    if (field.number === 2) value = valueOf(field.value, shape, 'map')
  }
  return { [key]: value }
}

/** Year 9999, where RFC 3339 ends. */
const LAST_SECOND = 253_402_300_799

/** metav1.Time: seconds and nanoseconds since the epoch; empty where it was never set. */
function timeOf(bytes: Buffer): string | undefined {
  const field = fieldsIn(bytes).find(({ number }) => number === 1)
  if (field === undefined) return undefined
  const seconds = Number(BigInt.asIntN(64, numberIn(field.value)))
  if (Math.abs(seconds) > LAST_SECOND) throw new Error(`the protobuf has a time that is none: ${seconds}`)
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}

interface WireField {
  number: number
  value: Buffer | bigint
}

/** Wire types 0 (varint) and 2 (length-delimited); the objects here use no others. */
function fieldsIn(bytes: Buffer): WireField[] {
  const fields: WireField[] = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error('the protobuf ends too early')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new Error('the protobuf has an endless number')
  }
  while (at < bytes.length) {
    const key = varint()
    const number = Number(key >> 3n)
    const wireType = Number(key & 7n)
    if (wireType === 0) {
      fields.push({ number, value: varint() })
    } else if (wireType === 2) {
      const length = Number(varint())
      if (length > bytes.length - at) throw new Error('the protobuf ends too early')
      fields.push({ number, value: bytes.subarray(at, at + length) })
      at += length
    } else {
      throw new Error(`the protobuf has a field of wire type ${wireType}`)
    }
  }
  return fields
}

function bytesIn(value: Buffer | bigint): Buffer {
  if (typeof value === 'bigint') throw new Error('the protobuf has a number where bytes belong')
  return value
}

function numberIn(value: Buffer | bigint): bigint {
  if (typeof value !== 'bigint') throw new Error('the protobuf has bytes where a number belongs')
  return value
}
