import { type ComponentProps, useId } from 'react'

type FieldProps = Omit<ComponentProps<'input'>, 'id' | 'onChange'> & {
  label: string
  hint?: string
  value: string
  onChange: (value: string) => void
}

export function Field({ label, hint, value, onChange, ...rest }: FieldProps) {
  const id = useId()
  const hintId = `${id}-hint`
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="input"
        value={value}
        aria-describedby={hint === undefined ? undefined : hintId}
        onChange={(event) => onChange(event.target.value)}
        {...rest}
      />
      {hint !== undefined && <p id={hintId} className="hint">{hint}</p>}
    </div>
  )
}
