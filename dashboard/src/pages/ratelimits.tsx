// What providers say is left of their limits, and who is passed over for it.

import { useMinute } from "../filters";
import { count, duration, percent } from "../format";
import { Meter } from "../parts/meter";
import { Icon } from "../parts/icon";
import type { Breakers, Quota, RateLimit } from "../types";

export function RateLimits({ breakers }: { breakers: Breakers }) {
  useMinute(); // "in 40 s" grows old by itself
  if (!breakers.known)
    return (
      <p>
        They are known where requests are served: open <code>/dashboard</code> of{" "}
        <code>mmrouter serve</code>.
      </p>
    );
  const out = breakers.limits.filter((row) => row.passed_over !== null);
  return (
    <>
      {out.length === 0 ? (
        <p className="good">
          <Icon name="check" /> No model is passed over for a rate limit.
        </p>
      ) : (
        <ul className="bad">
          {out.map((row) => (
            <li key={row.model}>
              {row.model} {row.passed_over}: asked only where no other model can answer
            </li>
          ))}
        </ul>
      )}
      {breakers.limits.some((row) => row.limits.length > 0) && <Table rows={breakers.limits} />}
      <p className="small muted">
        From the headers of providers&apos; answers. A limit is listed once half of it is used up,
        until it is full again; many providers tell none.
      </p>
    </>
  );
}

function Table({ rows }: { rows: RateLimit[] }) {
  return (
    <div className="wide" tabIndex={0} role="region" aria-label="Rate limits">
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col" className="left">
              Provider
            </th>
            <th scope="col">Left</th>
            <th scope="col" className="meter-column">
              Used
            </th>
            <th scope="col">Full again in</th>
          </tr>
        </thead>
        <tbody>
          {rows.flatMap((row) =>
            row.limits.map((limit, index) => (
              <tr key={`${row.model} ${limit.kind} ${index}`}>
                <th scope="row">{row.model}</th>
                <td className="left">{row.provider}</td>
                <td>
                  {count(limit.left)}
                  {limit.limit !== null && ` of ${count(limit.limit)}`} {limit.kind}
                </td>
                <td>
                  <Used limit={limit} model={row.model} out={row.passed_over !== null} />
                </td>
                <td>{duration(Math.max(0, limit.reset * 1000 - Date.now()))}</td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </div>
  );
}

function Used({ limit, model, out }: { limit: Quota; model: string; out: boolean }) {
  if (limit.limit === null) return null;
  const used = limit.limit - limit.left;
  return (
    <>
      <Meter
        label={`${limit.kind} of ${model} used`}
        value={used}
        most={limit.limit}
        tone={out ? "bad" : used / limit.limit > 0.9 ? "warn" : "good"}
      />
      <span className="small">{percent(used / limit.limit, 0)}</span>
    </>
  );
}
