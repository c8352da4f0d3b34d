/**
 * Loaded before each test file: one that does not come to its end, because something that it started was never stopped, ends
 * here and fails, rather than holding the whole run up for ever. (Node's time-out is for tests, not for what is left after them.)
 */
const LONGEST_MS = 12 * 60_000

setTimeout(() => {
  const { length } = process.getActiveResourcesInfo()
  console.error(`this file did not end within ${LONGEST_MS / 60_000} minutes: ${length} resources are still open`)
  process.exit(1)
}, LONGEST_MS).unref()
