/** Keeps the list where the reader is: at the end while new messages come, in place while older ones load. */
import { type RefObject, useCallback, useLayoutEffect, useRef, useState } from 'react'

/** This close to an end counts as there. */
const NEAR_PX = 80
/** Older messages are fetched before the reader reaches the edge. */
const EARLY_PX = 600

interface ScrollOptions {
  list: RefObject<HTMLDivElement | null>
  /** Changes whenever the rows do. */
  rows: unknown
  firstKey: string | undefined
  onOlder: () => void
  onNewer: () => void
}

export function useScroll({ list, rows, firstKey, onOlder, onNewer }: ScrollOptions) {
  const [atEnd, setAtEnd] = useState(true)
  const stuck = useRef(true)
  const before = useRef({ height: 0, top: 0, firstKey })

  useLayoutEffect(() => {
    const box = list.current
    if (box === null) return
    const grown = box.scrollHeight - before.current.height
    // Browsers without scroll anchoring would jump by what was added above.
    const unanchored = box.scrollTop === before.current.top && before.current.firstKey !== firstKey
    if (stuck.current) box.scrollTop = box.scrollHeight
    else if (unanchored && grown > 0 && box.scrollTop < EARLY_PX) box.scrollTop += grown
    before.current = { height: box.scrollHeight, top: box.scrollTop, firstKey }
  }, [list, rows, firstKey])

  useLayoutEffect(() => {
    const box = list.current
    if (box === null) return
    const observer = new ResizeObserver(() => {
      if (stuck.current) box.scrollTop = box.scrollHeight
    })
    observer.observe(box)
    return () => observer.disconnect()
  }, [list])

  const scrolled = useCallback(() => {
    const box = list.current
    if (box === null) return
    const left = box.scrollHeight - box.scrollTop - box.clientHeight
    stuck.current = left < NEAR_PX
    setAtEnd(stuck.current)
    before.current = { ...before.current, height: box.scrollHeight, top: box.scrollTop }
    if (box.scrollTop < EARLY_PX) onOlder()
    if (left < EARLY_PX) onNewer()
  }, [list, onOlder, onNewer])

  const toEnd = useCallback(() => {
    stuck.current = true
    setAtEnd(true)
    const box = list.current
    if (box !== null) box.scrollTop = box.scrollHeight
  }, [list])

  return { atEnd, scrolled, toEnd }
}
