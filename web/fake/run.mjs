// Node 20 does not run TypeScript; Vite's loader does.
import { runnerImport } from 'vite'

const { module } = await runnerImport(new URL('./main.ts', import.meta.url).pathname)
await module.main()
