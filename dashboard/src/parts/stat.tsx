import type { ReactNode } from "react";

/** One figure that answers one question. */
export function Stat({
  title,
  value,
  tone,
  children,
}: {
  title: string;
  value: string;
  tone?: "good" | "bad" | undefined;
  children?: ReactNode;
}) {
  return (
    <div className="card stat">
      <h2>{title}</h2>
      <p className={`figure ${tone ?? ""}`}>{value}</p>
      <p className="muted">{children}</p>
    </div>
  );
}
