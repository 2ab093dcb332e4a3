// The month: spent, heading for, and the limit if there is one.

import { money, percent } from "../format";
import type { Budgets } from "../types";
import { Meter } from "./meter";

export function Gauge({ budgets }: { budgets: Budgets }) {
  const { month } = budgets;
  const limit = budgets.limits.find((row) => row.scope === "all" && row.span === "month");
  const gone = (month.now - month.start) / (month.end - month.start);
  const ahead = month.forecast;
  const most = limit?.limit_nanos ?? Math.max(month.settled_nanos, ahead?.nanos ?? 0);
  const over = limit !== undefined && ahead !== null && ahead.nanos > limit.limit_nanos;
  return (
    <>
      <p className="figure">
        {money(month.settled_nanos)}
        {limit && <span className="of"> of {money(limit.limit_nanos)}</span>}
      </p>
      <Meter
        label={`Spent in ${month.label}`}
        value={month.settled_nanos}
        extra={ahead?.nanos ?? 0}
        most={most}
        tone={over ? "bad" : "good"}
      />
      {ahead && (
        <p className={over ? "bad" : ""}>
          Heading for {money(ahead.nanos)} by the month&apos;s end
          {ahead.low !== null && ahead.high !== null && (
            <>
              {" "}
              (90% sure: {money(ahead.low)} to {money(ahead.high)})
            </>
          )}
        </p>
      )}
      <p className="muted">
        {percent(gone, 0)} of the month is over ({budgets.timezone}).{" "}
        {ahead?.low === null && "Too few full days for an interval. "}
        {limit === undefined && "No monthly limit is set: see Budgets."}
      </p>
    </>
  );
}
