/** `node test/crds/record.ts <judge>` writes verdicts.json anew; judge/main.go says how to build the judge. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { manifestOf } from '../../src/crds/manifest.ts'
import { CASES } from './cases.ts'

const judge = process.argv[2]
if (judge === undefined) throw new Error('name the judge: node test/crds/record.ts <path of the built judge>')

const folder = mkdtempSync(join(tmpdir(), 'carrel-verdicts-'))
const verdicts: string[] = []
for (const { title, kind, object, old, subresource } of CASES) {
  const crd = join(folder, `${kind.plural}.json`)
  writeFileSync(crd, JSON.stringify(manifestOf(kind)))
  const { status, stdout, stderr } = spawnSync(judge, [crd], { input: JSON.stringify({ object, old, subresource }), encoding: 'utf8' })
  if (status !== 0) throw new Error(`the judge refuses ${crd}: ${stderr}`)
  verdicts.push(`  ${JSON.stringify(title)}: ${stdout.trim()}`)
}
rmSync(folder, { recursive: true })
writeFileSync(join(import.meta.dirname, 'verdicts.json'), `{\n${verdicts.join(',\n')}\n}\n`)
console.log(`recorded ${verdicts.length} verdicts`)
