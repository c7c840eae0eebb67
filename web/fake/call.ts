/** The shape of the calls that a simulated node answers. */
import type { IncomingMessage } from 'node:http'

export class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly detail: string
  constructor(status: number, code: string, title: string, detail = '') {
    super(title)
    this.status = status
    this.code = code
    this.detail = detail
  }
}

export type Body = Record<string, unknown>
/** What is called by a matching path: the answer is a status and a body. */
export type Handler = (match: string[], body: Body, request: IncomingMessage, query: URLSearchParams) => [number, unknown]
