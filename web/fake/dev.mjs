// The interface with live reload, in front of one node: `npm run dev` uses a simulated one, `DEMES=http://127.0.0.1:3000 npm
// run dev` a real one. Open the printed token under the development server's address.
import { createServer } from 'vite'

const target = process.env.DEMES ?? 'http://127.0.0.1:4300'
if (process.env.DEMES === undefined) await import('./run.mjs')
const server = await createServer({ server: { port: 5173, proxy: { '/api': { target, ws: true } } } })
await server.listen()
server.printUrls()
