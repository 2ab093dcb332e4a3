/** A bar of how much is used, and how much more is expected to be. */
export function Meter({
  label,
  value,
  extra = 0,
  most,
  tone,
}: {
  label: string;
  value: number;
  extra?: number;
  most: number;
  tone: "good" | "warn" | "bad";
}) {
  const share = (part: number) => (most > 0 ? Math.min(100, (part / most) * 100) : 0);
  return (
    <svg
      className={`meter ${tone}`}
      viewBox="0 0 100 6"
      preserveAspectRatio="none"
      role="meter"
      aria-label={label}
      aria-valuenow={Math.round(share(value))}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <rect className="track" width="100" height="6" />
      <rect className="extra" width={share(extra)} height="6" />
      <rect className="value" width={share(value)} height="6" />
    </svg>
  );
}
