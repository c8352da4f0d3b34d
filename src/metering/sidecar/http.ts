/**
 * Adapter: Node's HTTP, without what comes with it when it is imported. An `import` of `node:http` reads every export of it, and one
 * of them loads a whole HTTP client with WebSocket and WebAssembly: 25 ms of CPU and 5 MB, at the moment when the agent starts too.
 */
export const { createServer, request } = process.getBuiltinModule('node:http')
