import { useCallback, useSyncExternalStore } from 'react'

/** The panel stands beside the chat from this width on; below it is a sheet. */
export const PANEL_BESIDE = '(min-width: 68rem)'

export function useMedia(query: string): boolean {
  const subscribe = useCallback(
    (changed: () => void) => {
      const media = matchMedia(query)
      media.addEventListener('change', changed)
      return () => media.removeEventListener('change', changed)
    },
    [query],
  )
  return useSyncExternalStore(subscribe, () => matchMedia(query).matches)
}
