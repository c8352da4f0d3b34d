import type { RawAnswer } from './raw-gateway.ts'

export interface WireError {
  status: number
  type: string
  message: string
  reason?: string
  fields?: string[]
}

/** An error as it came over the wire. Throws unless it has what each error has: its type in header and body, a message, a request id. */
export function errorOf(answer: RawAnswer): WireError {
  const body = JSON.parse(answer.body) as { __type?: string; message?: string; reason?: string; fieldList?: { name: string }[] }
  if (!body.__type || answer.headers['x-amzn-errortype'] !== body.__type)
    throw new Error(`header and body name different types: ${JSON.stringify(answer)}`)
  if (!/^[0-9a-f-]{36}$/.test(answer.headers['x-amzn-requestid'] ?? '')) throw new Error('an error without a request id')
  if (!body.message || body.message.length < 20) throw new Error(`a message that does not say what to do: ${answer.body}`)
  return {
    status: answer.status,
    type: body.__type,
    message: body.message,
    ...(body.reason ? { reason: body.reason, fields: body.fieldList?.map(({ name }) => name) ?? [] } : {}),
  }
}

/** An error as the JavaScript SDK throws it. */
export async function thrownBySdk(call: Promise<unknown>): Promise<WireError & { isRetryable: boolean }> {
  let thrown: unknown
  try {
    await call
  } catch (error) {
    thrown = error
  }
  const { name, message, reason, fieldList, $metadata, $retryable } = thrown as {
    name: string
    message: string
    reason?: string
    fieldList?: { name: string }[]
    $metadata?: { httpStatusCode: number; requestId?: string }
    $retryable?: object
  }
  if (!$metadata?.requestId) throw new Error('it was not refused by the gateway', { cause: thrown })
  const fields = reason ? { reason, fields: fieldList?.map((field) => field.name) ?? [] } : {}
  return { status: $metadata.httpStatusCode, type: name, message, isRetryable: $retryable !== undefined, ...fields }
}
