import { createRequire } from 'module'
createRequire(import.meta.url)('./node24.cjs').run('scripts/test.ts')
