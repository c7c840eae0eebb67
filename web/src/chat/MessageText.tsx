import { memo } from 'react'
import { harmlessText } from '../text/harmless'
import { linkify } from '../text/linkify'

/** A peer's text: characters and links, never markup. */
export const MessageText = memo(function MessageText({ text }: { text: string }) {
  return (
    <p className="text" dir="auto">
      {linkify(harmlessText(text)).map((piece, at) =>
        piece.kind === 'text' ? (
          piece.text
        ) : (
          // The pieces of one text never change their places.
          // oxlint-disable-next-line no-array-index-key
          <a key={at} href={piece.href} target="_blank" rel="noreferrer noopener">{piece.text}</a>
        ),
      )}
    </p>
  )
})
