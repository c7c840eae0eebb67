/** A QR code that arrives as SVG text. As the source of an image it cannot run anything. */
function asImage(svg: string): string {
  const bytes = new TextEncoder().encode(svg)
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return `data:image/svg+xml;base64,${btoa(binary)}`
}

export function Qr({ svg, label }: { svg: string; label: string }) {
  return <img className="qr" src={asImage(svg)} alt={label} width="200" height="200" />
}
