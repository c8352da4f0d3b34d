import type { KubeObject } from '../../kube/objects.ts'
import { labelKeyCauses, labelValueCauses } from './metadata-rules.ts'
import { badRequest } from './statuses.ts'

type Labels = Record<string, string>
type Requirement = (labels: Labels) => boolean
type TokenKind = 'identifier' | 'end' | '!' | '(' | ')' | ',' | '=' | '==' | '!=' | '<' | '>' | 'in' | 'notin' | 'error'
interface Token {
  kind: TokenKind
  text: string
}

const SYMBOLS = new Set<string>(['!', '(', ')', ',', '=', '==', '!=', '<', '>'])
const OPERATORS = 'in, notin, =, ==, !=, gt, lt'

/** Label selectors, equality and set based, in the real server's grammar and with its words. Throws 400 on what is none. */
export function labelMatcher(selector: string | null): (object: KubeObject) => boolean {
  if (!selector) return () => true
  const requirements = new Parser(tokensOf(selector)).all()
  return (object) => requirements.every((holds) => holds(object.metadata.labels ?? {}))
}

function tokensOf(text: string): Token[] {
  const words = text.match(/[!(),=<>]+|[^!(),=<>\s]+/g) ?? []
  return words.flatMap((word) => (/^[!(),=<>]/.test(word) ? symbolsOf(word) : [wordOf(word)]))
}

function wordOf(text: string): Token {
  return { kind: text === 'in' || text === 'notin' ? text : 'identifier', text }
}

/** The longest symbol that there is, again and again. */
function symbolsOf(text: string): Token[] {
  if (text === '') return []
  const length = SYMBOLS.has(text.slice(0, 2)) && text.length > 1 ? 2 : 1
  const symbol = text.slice(0, length)
  return [{ kind: symbol as TokenKind, text: symbol }, ...symbolsOf(text.slice(length))]
}

class Parser {
  readonly #tokens: Token[]

  constructor(tokens: Token[]) {
    this.#tokens = tokens
  }

  all(): Requirement[] {
    const requirements: Requirement[] = []
    for (;;) {
      const { kind, text } = this.#ahead()
      if (kind === 'end') return requirements
      if (kind !== 'identifier' && kind !== '!') throw badRequest(`found '${text}', expected: !, identifier, or 'end of string'`)
      requirements.push(this.#requirement())
      const next = this.#take()
      if (next.kind === 'end') return requirements
      if (next.kind !== ',') throw badRequest(`found '${next.text}', expected: ',' or 'end of string'`)
      const after = this.#ahead()
      if (after.kind !== 'identifier' && after.kind !== '!') throw badRequest(`found '${after.text}', expected: identifier after ','`)
    }
  }

  #requirement(): Requirement {
    const isNegated = this.#ahead().kind === '!'
    if (isNegated) this.#take()
    const key = this.#take()
    if (key.kind !== 'identifier') throw unreadable(`found '${key.text}', expected: identifier`)
    const [wrong] = labelKeyCauses('<nil>', key.text)
    if (wrong) throw unreadable(`<nil>: ${wrong.message}`)
    if (isNegated) return (labels) => !Object.hasOwn(labels, key.text)
    const next = this.#ahead().kind
    return next === 'end' || next === ',' ? (labels) => Object.hasOwn(labels, key.text) : this.#comparison(key.text)
  }

  #comparison(key: string): Requirement {
    const { kind, text } = this.#takeOperator()
    switch (kind) {
      case 'in':
      case 'notin': {
        const values = checked(key, this.#list())
        return kind === 'in'
          ? (labels) => has(labels, key) && values.has(labels[key]!)
          : (labels) => !has(labels, key) || !values.has(labels[key]!)
      }
      case '=':
      case '==':
      case '!=': {
        const values = checked(key, [this.#value()])
        return (labels) => (has(labels, key) && values.has(labels[key]!)) === (kind !== '!=')
      }
      case '<':
      case '>':
        return ordered(key, kind, this.#value())
      default:
        throw unreadable(`found '${text}', expected: ${OPERATORS}`)
    }
  }

  #value(): string {
    const { kind } = this.#ahead()
    if (kind === 'end' || kind === ',') return ''
    const token = this.#take()
    if (token.kind !== 'identifier') throw unreadable(`found '${token.text}', expected: identifier`)
    return token.text
  }

  /** An empty place between commas is the empty value. */
  #list(): string[] {
    const opening = this.#take()
    if (opening.kind !== '(') throw unreadable(`found '${opening.text}' expected: '('`)
    const values: string[] = []
    for (;;) {
      const { kind } = this.#ahead()
      values.push(kind === 'identifier' ? this.#take().text : '')
      const next = this.#take()
      if (next.kind === ')') return values
      if (next.kind !== ',') throw unreadable(`found '${next.text}', expected: ',' or ')'`)
    }
  }

  /** After a key `in` and `notin` are operators; everywhere else they are words. */
  #takeOperator(): Token {
    return this.#tokens.shift() ?? END
  }

  #take(): Token {
    return asWord(this.#takeOperator())
  }

  #ahead(): Token {
    return asWord(this.#tokens[0] ?? END)
  }
}

const END: Token = { kind: 'end', text: '' }

function asWord(token: Token): Token {
  return token.kind === 'in' || token.kind === 'notin' ? { kind: 'identifier', text: token.text } : token
}

const has = (labels: Labels, key: string): boolean => Object.hasOwn(labels, key)

function checked(key: string, values: string[]): ReadonlySet<string> {
  for (const [index, value] of [...new Set(values)].toSorted().entries()) {
    const [wrong] = labelValueCauses(`values[${index}][${key}]`, value)
    if (wrong) throw unreadable(`${wrong.field}: ${wrong.message}`)
  }
  return new Set(values)
}

function ordered(key: string, kind: '<' | '>', limit: string): Requirement {
  if (!isInteger(limit)) {
    throw unreadable(`values[0]: Invalid value: ${JSON.stringify(limit)}: for 'Gt', 'Lt' operators, the value must be an integer`)
  }
  return (labels) => {
    const value = labels[key]
    if (value === undefined || !isInteger(value)) return false
    return kind === '<' ? BigInt(value) < BigInt(limit) : BigInt(value) > BigInt(limit)
  }
}

const isInteger = (text: string): boolean => /^[-+]?\d+$/.test(text)

function unreadable(why: string): Error {
  return badRequest(`unable to parse requirement: ${why}`)
}
