/** What of a folder a Dockerfile may copy: all files but those that its .dockerignore names. The last rule that fits a path decides. */
import { createHash, type Hash } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join, posix } from 'node:path'

interface Rule {
  pattern: string
  fits: RegExp
  keeps: boolean
}

export function ignoreRules(directory: string): Rule[] {
  const file = join(directory, '.dockerignore')
  if (!existsSync(file)) return []
  return parseIgnore(readFileSync(file, 'utf8'))
}

export function parseIgnore(text: string): Rule[] {
  const lines = text.split('\n').map((line) => line.trim())
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ruleOf(posix.normalize(line.replace(/^!/, '')).replace(/^\/|\/$/g, ''), line.startsWith('!')))
}

/** As Docker has it: a star also stands for a leading dot. */
function ruleOf(pattern: string, keeps: boolean): Rule {
  const expression = pattern.replace(/\*\*\/?|[*?]|[\\^$.|+(){}]/g, (found) => {
    if (found === '**/') return '(.*/)?'
    if (found === '**') return '.*'
    return { '*': '[^/]*', '?': '[^/]' }[found] ?? `\\${found}`
  })
  return { pattern, keeps, fits: new RegExp(`^${expression}$`) }
}

/** A rule for a folder holds for what is in it. */
export function isIgnored(path: string, rules: Rule[]): boolean {
  let ignored = false
  const parts = path.split('/')
  const upward = parts.map((_, index) => parts.slice(0, index + 1).join('/'))
  for (const { fits, keeps } of rules) if (upward.some((part) => fits.test(part))) ignored = !keeps
  return ignored
}

/** The files and links below `path` of the context, relative to it, in a fixed order. Folders that a later rule may reopen are entered. */
export function filesOf(directory: string, path: string, rules: Rule[]): string[] {
  const entry = lstatSync(join(directory, path))
  if (!entry.isDirectory()) return path !== '' && isIgnored(path, rules) ? [] : [path]
  if (path !== '' && isIgnored(path, rules) && !rules.some(({ keeps, pattern }) => keeps && pattern.startsWith(`${path}/`))) return []
  const names = readdirSync(join(directory, path)).toSorted()
  return names.flatMap((name) => filesOf(directory, path === '' ? name : `${path}/${name}`, rules))
}

/** Of names, modes and contents; not of times. */
export function contentHash(directory: string, files: string[]): string {
  const hash = createHash('sha256')
  for (const file of files) addFile(hash, file, join(directory, file))
  return hash.digest('hex')
}

function addFile(hash: Hash, name: string, path: string): void {
  const entry = lstatSync(path)
  const content = entry.isSymbolicLink() ? Buffer.from(`-> ${readlinkSync(path)}`) : readFileSync(path)
  hash.update(`${name}\0${entry.mode & 0o111}\0${content.length}\0`).update(content)
}
