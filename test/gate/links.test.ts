import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { brokenLinks } from '../../scripts/check-links.ts'

test('links of the pages that lead to no file or no heading are named; code and other sites are left alone', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'carrel-links-'))
  t.after(() => rmSync(root, { recursive: true }))
  const pages = {
    'README.md': [
      '[a](docs/a.md) [a](docs/a.md#the-way-of-a-request) [here](#what-npm-start-does) [out](https://example.com/x)',
      '[gone](docs/gone.md) [no heading](docs/a.md#nowhere) [not here](#nowhere)',
      '## What `npm start` does',
      '```',
      '[in code](docs/gone.md)',
      '```',
      '    [in code](docs/gone.md)',
    ],
    'docs/a.md': ['# The way of a request', '[up](../README.md) [folder](../docs) [gone](b.md)'],
    'src/not-a-page.md': ['[gone](gone.md)'],
  }
  for (const [page, lines] of Object.entries(pages)) {
    mkdirSync(dirname(join(root, page)), { recursive: true })
    writeFileSync(join(root, page), lines.join('\n'))
  }
  assert.deepEqual(brokenLinks(root), ['README.md: docs/gone.md', 'README.md: docs/a.md#nowhere', 'README.md: #nowhere', 'docs/a.md: b.md'])
})
