/**
 * Adapter: loaded into a gateway before its own code (`--expose-gc --import`), it collects garbage on SIGUSR2 and writes what is
 * left to the file that CARREL_BENCH_HEAP names.
 */
import { renameSync, writeFileSync } from 'node:fs'

const file = process.env['CARREL_BENCH_HEAP']!

process.on('SIGUSR2', () => {
  for (let pass = 0; pass < 3; pass += 1) globalThis.gc!()
  const { heapUsed, external, rss } = process.memoryUsage()
  writeFileSync(`${file}.new`, JSON.stringify({ heapBytes: heapUsed + external, residentBytes: rss }))
  renameSync(`${file}.new`, file)
})
