/** A picture that looks like a QR code; the real node draws a real one. */
export function qrSvg(text: string): string {
  const size = 33
  let seed = [...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 2147483647, 7)
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647
  let path = ''
  const finder = (x: number, y: number) => (x < 8 && y < 8) || (x > size - 9 && y < 8) || (x < 8 && y > size - 9)
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) if (!finder(x, y) && random() < 0.48) path += `M${x} ${y}h1v1h-1z`
  for (const [x, y] of [[0, 0], [size - 7, 0], [0, size - 7]] as const) {
    path += `M${x} ${y}h7v7h-7zM${x + 1} ${y + 1}v5h5v-5zM${x + 2} ${y + 2}h3v3h-3z`
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 -4 ${size + 8} ${size + 8}" shape-rendering="crispEdges"><path fill="#fff" d="M-4-4h41v41h-41z"/><path d="${path}"/></svg>`
}
