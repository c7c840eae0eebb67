/** A peer's name, kept from reordering the words around it. */
export function Name({ children, you = false }: { children: string; you?: boolean }) {
  return (
    <>
      <bdi className="name">{children}</bdi>
      {you && <span className="you"> (you)</span>}
    </>
  )
}
