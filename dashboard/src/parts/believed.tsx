// The share of good answers that a model is believed to give.

import { percent } from "../format";
import type { BeliefRow } from "../types";
import { Interval } from "./interval";

export function Believed({ row, colour }: { row: BeliefRow; colour?: string }) {
  const [low, high] = row.interval90;
  return (
    <div className="believed">
      <Interval
        label={`${percent(row.mean, 0)}, between ${percent(low, 0)} and ${percent(high, 0)}`}
        mean={row.mean}
        low={low}
        high={high}
        {...(colour ? { colour } : {})}
      />
      <span className="small">
        {percent(low, 0)} – {percent(high, 0)}
      </span>
    </div>
  );
}
