import { keptTheme, type Theme } from '../state/kept'

/** The style sheet follows the system unless the root says otherwise. */
export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
}

export function chooseTheme(theme: Theme): void {
  keptTheme.set(theme)
  applyTheme(theme)
}
