/** Holds the one state and tells who listens. */
import { reduce } from './reduce'
import { type Action, initialState, type State } from './state'

export class Store {
  #state: State = initialState
  readonly #listeners = new Set<() => void>()

  get = (): State => this.#state

  dispatch = (action: Action): void => {
    const next = reduce(this.#state, action)
    if (next === this.#state) return
    this.#state = next
    for (const listener of this.#listeners) listener()
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
