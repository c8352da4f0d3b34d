import type { RedisAddress } from './address.ts'

const CERTIFICATE = /CERT|SIGNATURE|ISSUER|SELF_SIGNED/

/** What went wrong, in one line that says what to do. Never holds a secret: an error of the client may carry AUTH's arguments. */
export function explain(error: unknown, address: RedisAddress): string {
  const { code = '', message = '' } = error as { code?: string; message?: string }
  const said = message.split('\n')[0]!.slice(0, 200)
  if (/^WRONGPASS|^ERR AUTH|invalid password/.test(said)) return 'refuses the user name or password: correct them in its URL'
  if (said.startsWith('NOAUTH')) return 'wants a user name and password: put them into its URL, or set CARREL_REDIS to it'
  if (/^NOPERM|user executing the script can't/.test(said))
    return `does not let this user do what Carrel needs (${said}): grant the commands of docs/guide/redis.md`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `shows a certificate that is not for ${address.host}: name the host that it is for`
  if (code === 'CERT_HAS_EXPIRED') return 'shows a certificate that has expired: renew it'
  if (CERTIFICATE.test(code)) return `shows a certificate of an unknown authority (${code}): name the authority's file by --redis-ca-file`
  if (/SSL|TLS/i.test(code) || /\bSSL|before secure TLS|\bTLS\b/i.test(said) || code === 'EPROTO') return notTheProtocol(address)
  if (/^Unknown RESP type|^Protocol error|^Connection is closed|ECONNRESET/.test(said) && code !== 'ECONNREFUSED')
    return notTheProtocol(address)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'has a host name that is not known: correct it'
  if (code === 'ETIMEDOUT')
    return `does not answer in time: start it, or correct its address${address.tls ? ', or is it redis:// (no TLS)?' : ''}`
  if (code !== '') return `cannot be reached (${code}): start it, or correct its address`
  if (/timed out|timeout/i.test(said)) return 'does not answer in time'
  return `answered: ${said}`
}

function notTheProtocol({ tls }: RedisAddress): string {
  return tls
    ? 'ended the TLS handshake or speaks no TLS there: is it redis://, or another port?'
    : 'broke off or does not speak the Redis protocol there: is it rediss:// (TLS), or another port?'
}
