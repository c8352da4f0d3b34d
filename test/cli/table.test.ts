import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDuration, shownDuration } from '../../src/cli/duration.ts'
import { table } from '../../src/cli/table.ts'
import { fitted, harmless, shortened, widthOf, wrapped } from '../../src/cli/text.ts'

test('wide characters take two cells, combining ones none', () => {
  const cases = { ann: 3, 北京: 4, ｆ: 2, 한국: 4, 'e\u0301': 1, '👩‍🚀': 2, naïve: 5, '': 0, ไทย: 3 }
  for (const [text, cells] of Object.entries(cases)) assert.equal(widthOf(text), cells, text)
})

test('columns line up whatever the width of their characters', () => {
  const lines = table(
    [
      { title: 'A', cell: (row: string) => row },
      { title: 'B', cell: () => 'b' },
    ],
    ['北京', 'x', 'e\u0301e'],
    { colour: false },
  )
  for (const line of lines) assert.equal(widthOf(line), 4 + 2 + 1, line)
})

test('a line that is too long is cut at the width of the terminal, and not within a character', () => {
  assert.equal(fitted('北京北京', 6), '北京…')
  assert.equal(fitted('ann', 3), 'ann')
  const lines = table([{ title: 'OWNER', cell: (row: string) => row, tone: () => 'bad' as const }], ['北'.repeat(50)], {
    colour: true,
    columns: 20,
  })
  assert.ok(widthOf(lines[1]!) <= 20)
})

test('notes are broken between words, at the width of the terminal', () => {
  assert.deepEqual(wrapped('one two three', 7), ['one two', 'three'])
  assert.deepEqual(wrapped('北京北京 a', 6), ['北京…', 'a'])
})

test('colours only where they are wanted, and they take no cells', () => {
  const columns = [
    { title: 'A', cell: (row: string) => row, tone: () => 'good' as const },
    { title: 'B', cell: () => 'b' },
  ]
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(table(columns, ['x'], { colour: false }).join(''), /\u001b/)
  assert.equal(table(columns, ['x'], { colour: true })[1], '\u001b[32mx\u001b[0m  b')
})

test('what others wrote is never obeyed by a terminal', () => {
  for (const evil of ['\u001b]0;title\u0007', '\u001b[2J', 'a\rb', 'a\nb', '\u009b2J', '\u202eabc', 'a\u2028b', '\u0000', '\u007f']) {
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(harmless(`x${evil}y`), /[\u0000-\u001f\u007f-\u009f\u2028\u202e]/, JSON.stringify(evil))
  }
  assert.equal(harmless('plain 北京 é'), 'plain 北京 é')
})

test('ids are shortened to what tells them apart', () => {
  assert.equal(shortened('0198c0de-1111-4222-8333-444455556666'), '0198c0de-111…556666')
  assert.equal(shortened('short'), 'short')
})

test('durations are read and shown', () => {
  for (const [text, ms] of [
    ['0', 0],
    ['30s', 30_000],
    ['1h30m', 5_400_000],
    ['7d', 604_800_000],
  ] as const)
    assert.equal(parseDuration(text, '--grace'), ms)
  for (const [ms, text] of [
    [-5, '0s'],
    [119_999, '119s'],
    [120_000, '2m'],
    [7_260_000, '2h1m'],
    [86_400_000, '24h'],
    [183_600_000, '2d3h'],
  ] as const)
    assert.equal(shownDuration(ms), text)
})
