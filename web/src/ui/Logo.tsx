/** The mark: one in the middle, the others around it, any of them able to take its place. */
export function Logo({ className = 'logo' }: { className?: string }) {
  return (
    <svg className={className} viewBox="0 0 48 48" aria-hidden="true">
      <circle className="logo-orbit" cx="24" cy="24" r="17" />
      <path className="logo-link" d="M24 24L24 7M24 24L38.7 32.5M24 24L9.3 32.5" />
      <circle className="logo-host" cx="24" cy="24" r="7" />
      <circle className="logo-member" cx="24" cy="7" r="4.5" />
      <circle className="logo-member" cx="38.7" cy="32.5" r="4.5" />
      <circle className="logo-member" cx="9.3" cy="32.5" r="4.5" />
    </svg>
  )
}
