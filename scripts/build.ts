/** Makes dist/ (or the folder that is named) from src/: JavaScript of the TypeScript, and beside it what is read as a file at run time. */
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const ROOT = dirname(import.meta.dirname)
const SOURCES = join(ROOT, 'src')
const BUILT = resolve(process.argv[2] ?? join(ROOT, 'dist'))

rmSync(BUILT, { recursive: true, force: true })
const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
const parameters = [compiler, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', BUILT]
const { status } = spawnSync(process.execPath, parameters, { stdio: 'inherit' })
if (status !== 0) process.exit(status ?? 1)

for (const name of readdirSync(SOURCES, { recursive: true }) as string[]) {
  if (name.endsWith('.ts') || name.includes('__pycache__') || !statSync(join(SOURCES, name)).isFile()) continue
  cpSync(join(SOURCES, name), join(BUILT, name))
}
