#!/usr/bin/env node
import { createRequire } from 'module'
createRequire(import.meta.url)('./node24.cjs').run('src/cli/main.ts')
