/** A payload of JSON of exactly that size. */
export function payloadOf(bytes: number): string {
  const frame = JSON.stringify({ prompt: '' })
  return JSON.stringify({ prompt: 'x'.repeat(bytes - frame.length) })
}
