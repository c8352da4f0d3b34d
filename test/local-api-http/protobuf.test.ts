import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeProtobuf } from '../../src/local/api/http/protobuf.ts'

test('a Secret as kubectl sends it reads like its JSON', () => {
  const metadata = message(
    bytes(1, 'keys'),
    bytes(2, ''),
    bytes(3, 'team'),
    number(7, 0n),
    bytes(8, ''),
    bytes(11, entry('a', 'b')),
    bytes(11, entry('c', '')),
    bytes(14, 'x.dev/one'),
    bytes(14, 'x.dev/two'),
  )
  const secret = message(bytes(1, metadata), bytes(2, entry('model', Buffer.from([0, 255]))), bytes(3, 'Opaque'), number(5, 1n))
  assert.deepEqual(decodeProtobuf(wrapped('v1', 'Secret', secret)), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'keys', namespace: 'team', labels: { a: 'b', c: '' }, finalizers: ['x.dev/one', 'x.dev/two'] },
    data: { model: 'AP8=' },
    type: 'Opaque',
    immutable: true,
  })
})

test('times and zeros keep their meaning', () => {
  const metadata = message(bytes(1, 'n'), bytes(8, message(number(1, 1_767_225_600n))), number(10, 0n))
  assert.deepEqual(decodeProtobuf(wrapped('v1', 'Namespace', message(bytes(1, metadata), bytes(2, '')))), {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'n', creationTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 0 },
    spec: {},
  })
})

test('what is not known is refused, not dropped', () => {
  assert.throws(
    () => decodeProtobuf(wrapped('v1', 'Pod', Buffer.alloc(0))),
    /a Pod of v1 is not read from protobuf: send it as application\/json/,
  )
  assert.throws(() => decodeProtobuf(wrapped('v1', 'Secret', message(bytes(9, 'x')))), /field 9 of Secret is not read from protobuf/)
  assert.throws(() => decodeProtobuf(Buffer.from('{"kind":"Secret"}')), /no Kubernetes protobuf/)
})

test('whatever the bytes are, the answer is an object or an Error', () => {
  const wire = fc.uint8Array({ maxLength: 200 }).map((tail) => Buffer.concat([Buffer.from('k8s\0'), tail]))
  fc.assert(
    fc.property(
      fc.oneof(
        wire,
        fc.uint8Array({ maxLength: 80 }).map((raw) => wrapped('v1', 'Secret', Buffer.from(raw))),
      ),
      (input) => {
        try {
          assert.equal(typeof decodeProtobuf(input), 'object')
        } catch (error) {
          assert.ok(error instanceof Error && /protobuf/.test(error.message), String(error))
        }
      },
    ),
  )
})

const message = (...fields: Buffer[]): Buffer => Buffer.concat(fields)

function varint(value: bigint): Buffer {
  const digits: number[] = []
  for (let rest = value; ; rest >>= 7n) {
    digits.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    if (rest <= 0x7fn) return Buffer.from(digits)
  }
}

function number(field: number, value: bigint): Buffer {
  return Buffer.concat([varint(BigInt(field << 3)), varint(value)])
}

function bytes(field: number, value: string | Buffer): Buffer {
  const content = Buffer.from(value as string)
  return Buffer.concat([varint(BigInt((field << 3) | 2)), varint(BigInt(content.length)), content])
}

function entry(key: string, value: string | Buffer): Buffer {
  return message(bytes(1, key), bytes(2, value))
}

function wrapped(apiVersion: string, kind: string, raw: Buffer): Buffer {
  return Buffer.concat([Buffer.from('k8s\0'), bytes(1, message(bytes(1, apiVersion), bytes(2, kind))), bytes(2, raw)])
}
