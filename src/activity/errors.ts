/** The store gave no answer in time, or is none that may be used. Try again later; nothing is closed meanwhile. */
export class ActivityUnavailableError extends Error {
  override readonly name = 'ActivityUnavailableError'
}

/** The store can not be used as it is set up: the message says what to change. Thrown at start only. It holds no secret. */
export class ActivitySetupError extends Error {
  override readonly name = 'ActivitySetupError'
}
