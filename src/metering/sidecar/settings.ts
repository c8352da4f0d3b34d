/**
 * What the meter beside an agent is told, by its environment. Read by hand: the schema library that every other part uses would be
 * a third of this process' memory.
 */
export interface SidecarSettings {
  /** `sessionMeterKey` of the pod's session. */
  key: string
  podUID: string
  /** Of the agent, at 127.0.0.1. */
  agentPort: number
  /** The one address to listen on; undefined: all. */
  host: string | undefined
}

/**
 * Reads the settings, and takes the key out of `environment`.
 *
 * @throws {Error} that names the variable and what belongs there; it never tells a value
 */
export function takeSettings(environment: Record<string, string | undefined>): SidecarSettings {
  const key = demand(
    environment,
    'CARREL_METER_KEY',
    /^[\w-]{43}$/,
    "the key of the session's meters, 43 characters of base64url, from its Secret",
  )
  delete environment['CARREL_METER_KEY']
  const podUID = demand(environment, 'CARREL_METER_POD_UID', /^[\w-]{1,64}$/, "the pod's metadata.uid, by the downward API")
  const agentPort = Number(demand(environment, 'CARREL_METER_AGENT_PORT', /^[1-9]\d{0,4}$/, 'the port of the agent, 1 to 65535'))
  if (agentPort > 65_535) throw new Error('CARREL_METER_AGENT_PORT must be the port of the agent, 1 to 65535')
  return { key, podUID, agentPort, host: environment['CARREL_METER_HOST'] || undefined }
}

function demand(environment: Record<string, string | undefined>, name: string, pattern: RegExp, meaning: string): string {
  const value = environment[name]
  if (value === undefined || !pattern.test(value)) throw new Error(`${name} ${value ? 'must be' : 'is missing: it must be'} ${meaning}`)
  return value
}
