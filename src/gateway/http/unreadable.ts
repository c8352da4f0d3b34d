import { type GatewayError, validation } from '../errors.ts'
import { SESSION_HEADER } from './headers-in.ts'

/** What Node's parser says of bytes that it does not take for a request. */
export interface ParserError extends Error {
  code?: string
  /** What arrived last; holds the fault. */
  rawPacket?: Buffer
}

/** So that a token of 64 KB gets an answer that says what is wrong with it. */
export const LONGEST_HEAD_BYTES = 80 * 1024
// eslint-disable-next-line no-control-regex
const SESSION_ID_WITH_CONTROL_BYTES = new RegExp(`^${SESSION_HEADER}:[^\\r\\n]*[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]`, 'im')

/** The refusal for it. Control bytes never get past the parser, so a session id with some is named here. */
export function unreadable({ code, message, rawPacket }: ParserError): GatewayError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return validation('headers', `the headers of a request have at most ${LONGEST_HEAD_BYTES / 1024} KiB together`)
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return validation('headers', 'the headers of the request took too long')
  if (rawPacket && SESSION_ID_WITH_CONTROL_BYTES.test(rawPacket.toString('latin1'))) {
    return validation('runtimeSessionId', 'a session id must not hold control characters')
  }
  return validation('request', `this is not a well-formed HTTP/1.1 request: ${message.replace(/^Parse Error: /, '')}`)
}
