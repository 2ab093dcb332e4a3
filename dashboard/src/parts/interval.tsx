// Where a value lies, and how sure that is, on a scale from 0 to 1.

export function Interval({
  label,
  mean,
  low,
  high,
  colour = "var(--s1)",
}: {
  label: string;
  mean: number;
  low: number;
  high: number;
  colour?: string;
}) {
  return (
    <svg
      className="belief"
      viewBox="0 0 100 10"
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <rect className="track" y="4" width="100" height="2" />
      <rect
        x={low * 100}
        y="2"
        width={Math.max(0.5, (high - low) * 100)}
        height="6"
        opacity="0.45"
        fill={colour}
      />
      <rect x={Math.max(0, mean * 100 - 0.7)} width="1.4" height="10" fill={colour} />
    </svg>
  );
}
