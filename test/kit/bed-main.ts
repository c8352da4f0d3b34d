/** One bed for the test files of a run: describes it in the file that is named, and takes it away on SIGTERM. */
import { renameSync, writeFileSync } from 'node:fs'
import { openBed } from './bed.ts'

const [file = ''] = process.argv.slice(2)
const { bed, cluster } = await openBed()
writeFileSync(`${file}.new`, JSON.stringify(bed))
renameSync(`${file}.new`, file)
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => void cluster.stop().then(() => process.exit(0)))
