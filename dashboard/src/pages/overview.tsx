// What was spent, what was saved, and did it go well?

import { Link, useSearch } from "wouter";
import { useMemo } from "react";
import { Lines, Stacked, type Slot } from "../parts/charts";
import { Data, useData } from "../parts/data";
import { FilterBar } from "../parts/filterbar";
import { Gauge } from "../parts/gauge";
import { NoRequests } from "../parts/states";
import { Stat } from "../parts/stat";
import { useFilters } from "../filters";
import { count, duration, money, percent, plural, short } from "../format";
import type { Budgets, Cell, Percentiles, Quality, Savings, Times, Traffic } from "../types";

const SHOWN_MODELS = 6;

export default function Overview() {
  const filters = useFilters();
  const traffic = useData<Traffic>(`traffic?${filters.query}`);
  return (
    <>
      <FilterBar title="Overview" />
      <Data query={traffic}>
        {(data) =>
          data.cells.length === 0 ? (
            <div className="card">
              <NoRequests />
            </div>
          ) : (
            <Figures traffic={data} />
          )
        }
      </Data>
    </>
  );
}

function Figures({ traffic }: { traffic: Traffic }) {
  const { query } = useFilters();
  const times = useData<Times>(`times?${query}`);
  const savings = useData<Savings>(`savings?${query}`);
  const quality = useData<Quality>(`quality?${query}`);
  const budgets = useData<Budgets>("budgets");
  const total = useMemo(() => sum(traffic.cells), [traffic]);
  const { names, spend, load } = useMemo(() => slots(traffic), [traffic]);
  return (
    <>
      <section className="tiles" aria-label="In short">
        <Stat title="Spent" value={money(total.cost)}>
          {total.unpriced > 0
            ? `and ${plural(total.unpriced, "request")} of unknown price`
            : `${money(total.cost / Math.max(1, total.requests))} a request`}
        </Stat>
        <Saved query={savings.data} />
        <Stat title="Requests" value={count(total.requests)}>
          {short(total.tokens)} tokens
        </Stat>
        <Good query={quality.data} />
        <Stat
          title="Errors"
          value={percent(total.failed / total.requests)}
          tone={total.failed > 0 ? "bad" : "good"}
        >
          <To changes={{ status: "failed" }}>{plural(total.failed, "request")} unanswered</To>
          <br />
          {percent(total.fallbacks / total.requests)} fell back:{" "}
          {plural(total.fallbacks, "answer")} by another model
        </Stat>
      </section>
      <section className="two">
        <div className="card">
          <h2>Spend by model</h2>
          <Stacked
            title="Spend by model over time"
            slots={spend}
            step={traffic.step_s}
            names={names}
            show={money}
          />
        </div>
        <div className="card">
          <h2>Requests</h2>
          <Lines
            title="Requests over time"
            slots={load}
            step={traffic.step_s}
            names={["answered", "failed", "fallback"]}
            show={short}
          />
        </div>
      </section>
      <section className="three">
        <div className="card">
          <h2>This month</h2>
          <Data query={budgets}>{(data) => <Gauge budgets={data} />}</Data>
        </div>
        <div className="card">
          <h2>Waiting times</h2>
          <Data query={times}>{(data) => <Waiting times={data} />}</Data>
        </div>
        <div className="card">
          <h2>Where it went</h2>
          <ByModel cells={traffic.cells} />
        </div>
      </section>
    </>
  );
}

function Saved({ query }: { query: Savings | undefined }) {
  if (query === undefined) return <Stat title="Saved" value="…" />;
  if (query.unpriced)
    return (
      <Stat title="Saved" value="–">
        the baseline {query.baseline} has no known price
      </Stat>
    );
  const share = query.baseline_nanos ? query.saved_nanos / query.baseline_nanos : 0;
  return (
    <Stat
      title="Saved"
      value={money(query.saved_nanos)}
      tone={query.low_nanos > 0 ? "good" : query.high_nanos < 0 ? "bad" : undefined}
    >
      {percent(share, 0)} of {money(query.baseline_nanos)} with {query.baseline}
      <br />
      95% sure: {money(query.low_nanos)} to {money(query.high_nanos)}
    </Stat>
  );
}

/** Are cheap answers good answers? */
function Good({ query }: { query: Quality | undefined }) {
  if (query === undefined) return <Stat title="Quality" value="…" />;
  const good = query.as_good;
  if (good === null)
    return (
      <Stat title="Quality" value="Not judged">
        {query.shadow > 0 ? (
          `${percent(query.shadow)} of live answers are judged; none of these yet`
        ) : (
          <>
            Have some judged: <code>mmrouter quality</code>, or live:{" "}
            <code>mmrouter serve --shadow 0.01</code>
          </>
        )}
      </Stat>
    );
  return (
    <Stat title="Quality" value={percent(good.share, 0)}>
      as good as the baseline or better
      <br />
      95% sure: {percent(good.low, 0)} to {percent(good.high, 0)} of {count(query.judged)} judged
      {query.same > 0 && `, ${count(query.same)} its own`}
    </Stat>
  );
}

function Waiting({ times }: { times: Times }) {
  const row = (name: string, of: Percentiles) => (
    <tr>
      <th scope="row">{name}</th>
      <td>{duration(of.p50)}</td>
      <td>{duration(of.p95)}</td>
      <td>{duration(of.p99)}</td>
    </tr>
  );
  return (
    <>
      <table className="plain-table">
        <thead>
          <tr>
            <td />
            <th scope="col">p50</th>
            <th scope="col">p95</th>
            <th scope="col">p99</th>
          </tr>
        </thead>
        <tbody>
          {row("First token", times.total.ttft)}
          {row("Whole answer", times.total.latency)}
        </tbody>
      </table>
      <p className="muted">
        50, 95 and 99 of 100 requests were faster than this.
        {times.sampled && " Measured on a sixteenth of them."}
      </p>
    </>
  );
}

function ByModel({ cells }: { cells: Cell[] }) {
  const models = new Map<string, { cost: number; requests: number }>();
  for (const cell of cells) {
    const name = cell.model ?? "";
    const row = models.get(name) ?? { cost: 0, requests: 0 };
    row.cost += cell.cost_nanos;
    row.requests += cell.requests;
    models.set(name, row);
  }
  const rows = [...models].sort((a, b) => b[1].cost - a[1].cost || b[1].requests - a[1].requests);
  return (
    <table className="plain-table">
      <thead>
        <tr>
          <th scope="col">Model</th>
          <th scope="col">Cost</th>
          <th scope="col">Requests</th>
        </tr>
      </thead>
      <tbody>
        {rows.slice(0, 8).map(([name, row]) => (
          <tr key={name}>
            <th scope="row">
              {name ? <To changes={{ model: name }}>{name}</To> : "nobody answered"}
            </th>
            <td>{money(row.cost)}</td>
            <td>{count(row.requests)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** To the requests behind a figure, with the filters that are in force. */
function To({ changes, children }: { changes: Record<string, string>; children: React.ReactNode }) {
  const search = new URLSearchParams(useSearch());
  for (const [name, value] of Object.entries(changes)) search.set(name, value);
  return <Link href={`/requests?${search}`}>{children}</Link>;
}

function sum(cells: Cell[]) {
  const total = { cost: 0, requests: 0, unpriced: 0, failed: 0, fallbacks: 0, tokens: 0 };
  for (const cell of cells) {
    total.cost += cell.cost_nanos;
    total.requests += cell.requests;
    total.unpriced += cell.unpriced;
    total.failed += cell.failed;
    total.fallbacks += cell.fallbacks;
    total.tokens += cell.tokens;
  }
  return total;
}

/** The series of the charts: dearest models by name, the others together; no gaps in time. */
function slots(traffic: Traffic) {
  const costs = new Map<string, number>();
  for (const cell of traffic.cells) {
    const name = cell.model ?? "unanswered";
    costs.set(name, (costs.get(name) ?? 0) + cell.cost_nanos);
  }
  const ranked = [...costs].filter(([, cost]) => cost > 0).sort((a, b) => b[1] - a[1]);
  const kept = ranked.slice(0, SHOWN_MODELS).map(([name]) => name);
  const names = ranked.length > kept.length ? [...kept, "others"] : kept;
  const spend = new Map<number, Slot>();
  const load = new Map<number, Slot>();
  for (const start of starts(traffic)) {
    spend.set(start, Object.fromEntries([["start", start], ...names.map((n) => [n, 0])]) as Slot);
    load.set(start, { start, answered: 0, failed: 0, fallback: 0 });
  }
  for (const cell of traffic.cells) {
    const money = spend.get(cell.start);
    const requests = load.get(cell.start);
    if (money === undefined || requests === undefined) continue;
    const model = cell.model ?? "unanswered";
    const name = kept.includes(model) ? model : "others";
    if (cell.cost_nanos > 0) money[name] = (money[name] ?? 0) + cell.cost_nanos;
    requests.answered = (requests.answered ?? 0) + cell.requests - cell.failed;
    requests.failed = (requests.failed ?? 0) + cell.failed;
    requests.fallback = (requests.fallback ?? 0) + cell.fallbacks;
  }
  return { names, spend: [...spend.values()], load: [...load.values()] };
}

/** The slots' first instants; days have 23 to 25 hours, so those with requests are kept as given. */
function starts({ cells, step_s }: Traffic): number[] {
  const given = [...new Set(cells.map((cell) => cell.start))].sort((a, b) => a - b);
  const all: number[] = [];
  for (const start of given) {
    let last = all.at(-1);
    while (last !== undefined && start - last > step_s * 1.5) {
      last += step_s;
      all.push(last);
    }
    all.push(start);
  }
  return all;
}
