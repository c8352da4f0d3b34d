import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { structuralSchema } from '../../src/crds/structural-schema.ts'

const text = z.string().max(10)

/** What zod says otherwise than an API server reads it, and the reason that building the schema gives. */
const TRAPS: [string, z.ZodType, RegExp][] = [
  ['a union', z.union([text, z.int()]), /z\.union has no structural schema/],
  [
    'a discriminated union',
    z.discriminatedUnion('a', [z.object({ a: z.enum(['x']) }), z.object({ a: z.enum(['y']) })]),
    /z\.union has no structural schema/,
  ],
  ['a union of an integer and a string that does not say so', z.union([z.int(), z.string()]), /anyOf cannot be said/],
  [
    'a bound of one half of a union',
    z.union([z.int(), z.string().regex(/a/)]).meta({ 'x-kubernetes-int-or-string': true }),
    /pattern of one half of the union would be lost/,
  ],
  ['any', z.any(), /z\.any has no structural schema/],
  ['unknown', z.unknown(), /z\.unknown has no structural schema/],
  ['null', text.nullable(), /z\.nullable has no structural schema/],
  ['a tuple', z.tuple([text]), /z\.tuple has no structural schema/],
  ['a date', z.date(), /z\.date has no structural schema/],
  ['a transform', text.transform((value) => value.length), /z\.(transform|pipe) has no structural schema/],
  ['read-only', text.readonly(), /z\.readonly has no structural schema/],
  ['catch', text.catch('x'), /z\.catch has no structural schema/],
  ['custom', z.custom<string>(), /z\.custom has no structural schema/],
  ['refine', text.refine((value) => value !== 'x'), /refine\(\) would be lost: write a CEL rule/],
  ['trim', text.trim(), /the API server changes no values/],
  ['a record by enum', z.record(z.enum(['a', 'b']), text), /write an object/],
  ['a record without a bound', z.record(z.string(), text), /a record needs meta\(\{ maxProperties \}\)/],
  ['a loose object', z.looseObject({ a: text }), /z\.unknown has no structural schema/],
  ['two patterns', text.regex(/a/).regex(/b/), /allOf cannot be said/],
  ['look-ahead', text.regex(/^(?!x)/), /is not RE2/],
  ['look-behind', text.regex(/(?<!x)y/), /is not RE2/],
  ['a back-reference', text.regex(/(a)\1/), /is not RE2/],
  ['a duration, which the server reads as Go does', z.iso.duration().max(40), /format duration/],
  ['an e-mail address', z.email().max(40), /format email|is not RE2/],
  ['a string without a bound', z.string(), /a string needs max\(\)/],
  ['a list without a bound', z.array(text), /an array needs max\(\)/],
  ['an open bound', z.number().gt(1), /exclusiveMinimum cannot be said/],
  ['a default that does not fit', text.default('longer than ten'), /its default does not fit: Too long/],
  ['a default with an unknown field', z.object({ a: text.optional() }).default({ b: 1 } as never), /its default does not fit: .*b/],
  [
    'a list key that may be absent',
    z
      .array(z.object({ name: text.optional() }))
      .max(1)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
    /list's key name/,
  ],
]

for (const [title, schema, reason] of TRAPS) {
  test(`no structural schema, and the path is named: ${title}`, () => {
    assert.throws(
      () => structuralSchema(z.object({ field: schema }), 'spec'),
      (error: Error) => {
        assert.match(error.message, reason)
        assert.match(error.message, /^spec\.field/)
        return true
      },
    )
  })
}

test('no structural schema: a shared id or recursion, which makes references', () => {
  const shared = text.meta({ id: 'shared' })
  const tree = z.object({
    get branches() {
      return z.array(tree).max(2)
    },
  })
  for (const schema of [z.object({ a: shared, b: shared }), z.object({ tree })])
    assert.throws(() => structuralSchema(schema, 'spec'), /^Error: spec.*: (references|\$ref) cannot be said/)
})

test('an object with defaults, bounds and a keyed list becomes what an API server takes', () => {
  const schema = z
    .strictObject({
      name: text.regex(/^[a-z]+$/),
      size: z.int().min(1).max(600).default(45).describe('How big.'),
      count: z.int().optional(),
      ratio: z.number().min(0).max(1).optional(),
      labels: z.record(z.string(), text).meta({ maxProperties: 4 }).optional(),
      items: z
        .array(z.object({ name: text }))
        .max(3)
        .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
        .optional(),
    })
    .describe('All of it.')
  assert.deepEqual(structuralSchema(schema, 'spec'), {
    description: 'All of it.',
    type: 'object',
    required: ['name'],
    properties: {
      name: { type: 'string', pattern: '^[a-z]+$', maxLength: 10 },
      size: { description: 'How big.', type: 'integer', format: 'int32', default: 45, minimum: 1, maximum: 600 },
      count: { type: 'integer', format: 'int64' },
      ratio: { type: 'number', minimum: 0, maximum: 1 },
      labels: { type: 'object', maxProperties: 4, additionalProperties: { type: 'string', maxLength: 10 } },
      items: {
        type: 'array',
        maxItems: 3,
        items: { type: 'object', required: ['name'], properties: { name: { type: 'string', maxLength: 10 } } },
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      },
    },
  })
})

test('an integer or a string is one word, with what holds for either', () => {
  const schema = z.union([z.int(), z.string()]).meta({ 'x-kubernetes-int-or-string': true, pattern: '^[0-9]+$', minimum: 1 })
  assert.deepEqual(structuralSchema(z.object({ field: schema.optional() }), 'spec').properties, {
    field: { pattern: '^[0-9]+$', minimum: 1, 'x-kubernetes-int-or-string': true },
  })
})
