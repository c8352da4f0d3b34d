/** How the meter beside an agent is started: the command of its container, and what goes with it. */

/**
 * A small heap, and one thread for V8's own work. Flags that save a megabyte more (--lite-mode, --jitless, --optimize-for-size) make
 * V8 refuse the code that Node brings compiled, and a start costs half as much again: at the very moment when the agent starts too.
 */
export const METER_FLAGS: readonly string[] = ['--max-semi-space-size=1', '--max-old-space-size=16', '--v8-pool-size=1']

export const METER_COMMAND: readonly string[] = ['node', ...METER_FLAGS, '/carrel/dist/metering/sidecar/main.js']

/** What the C library and libuv take from the environment. */
export const METER_ENVIRONMENT: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1', UV_THREADPOOL_SIZE: '1' }
