// Plain JavaScript that any Node reads: finds a Node that runs Carrel, or says what to do.
'use strict'
const { spawn } = require('child_process')
const { existsSync } = require('fs')
const path = require('path')

const ROOT = path.dirname(__dirname)
const NEEDED = 24

function nodeBinary() {
  if (Number(process.versions.node.split('.')[0]) >= NEEDED) return process.execPath
  const packaged = path.join(ROOT, 'node_modules', 'node-' + process.platform + '-' + process.arch, 'bin', 'node')
  if (existsSync(packaged)) return packaged
  console.error('carrel: Node ' + NEEDED + ' or later is needed; this is ' + process.version + '.')
  console.error(
    'Run `npm ci` without --omit=optional (it brings Node ' + NEEDED + ' for Linux as a package), or install it from https://nodejs.org.',
  )
  process.exit(1)
}

/** The TypeScript of a checkout, or what `npm run build` made of it where only that was installed: dist/cli/main.js of src/cli/main.ts. */
function entryFile(entry) {
  const source = path.join(ROOT, entry)
  const built = path.join(ROOT, entry.replace(/^src\//, 'dist/').replace(/\.ts$/, '.js'))
  return existsSync(source) ? source : built
}

/** Runs an entry under Node 24, with this process' arguments, terminal and signals. */
exports.run = function run(entry) {
  if (!existsSync(path.join(ROOT, 'node_modules', 'undici'))) {
    console.error('carrel: the packages are not installed: run `npm ci` first.')
    process.exit(1)
  }
  const binary = nodeBinary()
  const env = Object.assign({}, process.env, { PATH: path.dirname(binary) + path.delimiter + process.env.PATH })
  const child = spawn(binary, [entryFile(entry)].concat(process.argv.slice(2)), { stdio: 'inherit', env: env })
  // A terminal sends Ctrl-C to the whole group, npm sends it to us alone: the child takes the first and ignores none.
  const forward = function (signal) {
    process.on(signal, function () {
      if (!process.stdin.isTTY || signal !== 'SIGINT') child.kill(signal)
    })
  }
  ;['SIGINT', 'SIGTERM', 'SIGHUP'].forEach(forward)
  // A signal to npm alone ends npm and its shell, which passes nothing on: then nobody is left who could end us.
  const parent = process.ppid
  const watch = setInterval(function () {
    if (process.ppid === parent) return
    clearInterval(watch)
    child.kill('SIGTERM')
  }, 500)
  watch.unref()
  child.on('error', function (error) {
    console.error('carrel: ' + binary + ' could not be started: ' + error.message)
    process.exit(1)
  })
  child.on('exit', function (code, signal) {
    process.exit(code === null ? 128 + require('os').constants.signals[signal] : code)
  })
}
