import { createRequire } from 'module'
createRequire(import.meta.url)('./node24.cjs').run('src/local/main.ts')
