// How much is left, and will it last?

import { duration, money, percent } from "../format";
import { Data, useData } from "../parts/data";
import { Gauge } from "../parts/gauge";
import { Meter } from "../parts/meter";
import { Empty } from "../parts/states";
import type { Budgets, Limit } from "../types";

const TIERS: Record<Limit["tier"], [string, "good" | "warn" | "bad"]> = {
  normal: ["within the limit", "good"],
  warn: ["warning logged", "warn"],
  downgrade: ["routed one level down", "warn"],
  cheapest: ["at the limit", "bad"],
};

const EXAMPLE = `budget:
  enabled: true
  daily_limit: 5        # US dollars
  monthly_limit: 100
  hard_limit_action: cheapest   # or: reject
  tags:
    nightly: {daily_limit: 1}`;

export default function BudgetsPage() {
  const budgets = useData<Budgets>("budgets");
  return (
    <>
      <div className="bar">
        <h1>Budgets</h1>
      </div>
      <Data query={budgets}>
        {(data) => (
          <div className="stack">
            <div className="card">
              <h2>This month</h2>
              <Gauge budgets={data} />
              {data.month.unknown > 0 && (
                <p className="warn">
                  {data.month.unknown} requests of unknown price are not in these sums.
                </p>
              )}
            </div>
            {data.limits.length === 0 ? (
              <div className="card">
                <Empty title="No limit is set">
                  <p>Set some in the config; they hold under any number of parallel requests:</p>
                  <pre>{EXAMPLE}</pre>
                </Empty>
              </div>
            ) : (
              <section className="three" aria-label="Limits">
                {data.limits.map((limit) => (
                  <LimitCard key={limit.counter} limit={limit} budgets={data} />
                ))}
              </section>
            )}
          </div>
        )}
      </Data>
    </>
  );
}

function LimitCard({ limit, budgets }: { limit: Limit; budgets: Budgets }) {
  const [text, tone] = TIERS[limit.tier];
  const held = limit.reserved_nanos ?? 0;
  const left = limit.limit_nanos - limit.settled_nanos - held;
  return (
    <div className="card">
      <h2>{limit.title[0]?.toUpperCase() + limit.title.slice(1)}</h2>
      <p className="figure">
        {money(limit.settled_nanos)}
        <span className="of"> of {money(limit.limit_nanos)}</span>
      </p>
      <Meter
        label={limit.title}
        value={limit.settled_nanos}
        extra={limit.settled_nanos + held}
        most={limit.limit_nanos}
        tone={tone}
      />
      <p className={tone}>
        {percent(limit.limit_nanos ? limit.settled_nanos / limit.limit_nanos : 1, 0)}: {text}
      </p>
      <p className="small muted">
        {money(Math.max(0, left))} left for{" "}
        {duration(Math.max(0, limit.ends - budgets.month.now) * 1000)}
        {limit.reserved_nanos !== null && `; ${money(held)} set aside for calls in flight`}.
      </p>
      <p className="small muted">
        Warns at {percent(budgets.warn, 0)}, routes a level down at {percent(budgets.downgrade, 0)};
        at the limit{" "}
        {budgets.at_limit === "cheapest"
          ? "only the cheapest model that fits is asked"
          : "requests are rejected"}
        .
      </p>
    </div>
  );
}
