import { ActivitySetupError } from '../errors.ts'

/** Where Redis is, and as whom. */
export interface RedisAddress {
  host: string
  port: number
  tls: boolean
  username: string | undefined
  password: string | undefined
  database: number
}

const DEFAULT_PORT = 6379

/**
 * Reads `redis://[user:password@]host[:port][/database]`, or rediss:// for TLS. Throws ActivitySetupError, whose message
 * holds nothing of the URL: it may carry a password.
 */
export function parseRedisURL(text: string): RedisAddress {
  const form = 'the form is redis://user:password@host:6379, or rediss:// for TLS'
  const url = URL.parse(text)
  if (url === null || !/^rediss?:$/.test(url.protocol) || url.hostname === '')
    throw new ActivitySetupError(`Redis' URL cannot be read: ${form}`)
  if (url.search !== '' || url.hash !== '')
    throw new ActivitySetupError(`Redis' URL takes no ? and no # (as %3F and %23 in a password): ${form}`)
  if (!/^\/?\d*$/.test(url.pathname))
    throw new ActivitySetupError("the path of Redis' URL is a database's number, as in redis://host:6379/0")
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    tls: url.protocol === 'rediss:',
    username: decoded(url.username),
    password: decoded(url.password),
    database: Number(url.pathname.slice(1)),
  }
}

function decoded(part: string): string | undefined {
  try {
    return part === '' ? undefined : decodeURIComponent(part)
  } catch {
    throw new ActivitySetupError("user name or password in Redis' URL has a % that is no escape: write %25")
  }
}
