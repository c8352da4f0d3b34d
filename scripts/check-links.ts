/** Every relative link of the committed pages leads to a file that is there, and to a heading that is there. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

const PAGES = ['*.md', 'docs/**/*.md', 'examples/*/*.md']

/** `page: link` of each link below `root` that leads nowhere. */
export function brokenLinks(root: string): string[] {
  return globSync(PAGES, { cwd: root })
    .toSorted()
    .flatMap((page) => brokenIn(root, page))
}

function brokenIn(root: string, page: string): string[] {
  const text = withoutCode(readFileSync(join(root, page), 'utf8'))
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!)
  return links.filter((link) => !/^[a-z]+:/.test(link) && !leadsSomewhere(resolve(root, page), link)).map((link) => `${page}: ${link}`)
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? page : resolve(dirname(page), path)
  if (relative(page, target).startsWith('/') || !existsSync(target)) return false
  return anchor === undefined || headingsOf(target).includes(anchor)
}

/** Anchors as GitHub makes them. */
function headingsOf(page: string): string[] {
  const headings = [...withoutCode(readFileSync(page, 'utf8')).matchAll(/^#+ +(.+)$/gm)].map((match) => match[1]!)
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** Headings keep the words of their inline code; blocks are no pages. */
function withoutCode(text: string): string {
  return text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '').replaceAll(/^ {4}.*$/gm, '')
}

if (process.argv[1] === import.meta.filename) {
  const broken = brokenLinks(dirname(import.meta.dirname))
  for (const link of broken) console.error(`${link} leads nowhere`)
  if (broken.length > 0) process.exit(1)
}
