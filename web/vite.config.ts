import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vite'

const root = fileURLToPath(new URL('.', import.meta.url))

/** The files that decide what dist contains. embed_test.go walks the same list. */
const hashed = ['src', 'public', 'index.html', 'package-lock.json', 'vite.config.ts']

function filesUnder(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path).flatMap((name) => filesUnder(join(path, name)))
}

/**
 * SHA-256 over the sorted source files: for each its path, a zero byte, its length in decimal, a zero
 * byte and its content. Go proves with it that the committed dist was built from the committed src.
 */
function sourceHash(): string {
  const hash = createHash('sha256')
  const paths = hashed.flatMap((name) => filesUnder(join(root, name)))
  const names = paths.map((path) => relative(root, path).replaceAll('\\', '/'))
  for (const name of names.sort()) {
    const content = readFileSync(join(root, name))
    hash.update(`${name}\0${content.length}\0`).update(content)
  }
  return hash.digest('hex')
}

const writeSourceHash: Plugin = {
  name: 'source-hash',
  apply: 'build',
  closeBundle() {
    writeFileSync(join(root, 'dist', 'SOURCE_HASH'), sourceHash() + '\n')
  },
}

export default defineConfig({
  plugins: [writeSourceHash],
  build: {
    // Browsers that know light-dark() in style sheets.
    target: ['chrome123', 'firefox120', 'safari17.5'],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      // "use client" at the head of a library's files means something to servers only.
      onLog(level, log, log_) {
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') log_(level, log)
      },
      output: {
        codeSplitting: false,
        entryFileNames: 'assets/app.js',
        assetFileNames: (asset) =>
          asset.names.some((name) => name.endsWith('.css')) ? 'assets/app.css' : 'assets/[name][extname]',
      },
    },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
  },
} as Parameters<typeof defineConfig>[0])
