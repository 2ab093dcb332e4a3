// Which model is worth its price, and is it well?

import { Link, useSearch } from "wouter";
import { Believed } from "../parts/believed";
import { colour } from "../parts/colour";
import { Data, useData } from "../parts/data";
import { FilterBar } from "../parts/filterbar";
import { Icon, To } from "../parts/icon";
import { Empty } from "../parts/states";
import { RateLimits } from "./ratelimits";
import { useFilters } from "../filters";
import { count, day, duration, money, percent, plural, short } from "../format";
import type { BeliefRow, Beliefs, Breakers, Model, Models, PriceTier } from "../types";

export default function ModelsPage() {
  const { query } = useFilters();
  const models = useData<Models>(`models?${query}`);
  const breakers = useData<Breakers>("breakers");
  const beliefs = useData<Beliefs>("beliefs");
  return (
    <>
      <FilterBar title="Models and providers" />
      <Data query={models}>
        {(data) => (
          <div className="stack">
            <Calls data={data} />
            <div className="card">
              <h2>Circuit breakers</h2>
              <Data query={breakers}>{(found) => <BreakerList breakers={found} />}</Data>
            </div>
            <div className="card">
              <h2>Rate limits</h2>
              <Data query={breakers}>{(found) => <RateLimits breakers={found} />}</Data>
            </div>
            <div className="card">
              <h2>What people say of the answers</h2>
              <Data query={beliefs}>{(found) => <BeliefList found={found} />}</Data>
            </div>
            <div className="card">
              <h2>Prices in force</h2>
              <Prices models={data.models} />
            </div>
          </div>
        )}
      </Data>
    </>
  );
}

function Calls({ data }: { data: Models }) {
  const total = data.models.reduce((sum, model) => sum + model.cost_nanos, 0);
  const search = new URLSearchParams(useSearch());
  const to = (name: string) => {
    const next = new URLSearchParams(search);
    next.set("model", name);
    return `/requests?${next}`;
  };
  return (
    <div className="card">
      <h2>Calls</h2>
      <div className="wide" tabIndex={0} role="region" aria-label="Calls by model">
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col" className="left wide-only">
                Provider
              </th>
              <th scope="col">Cost</th>
              <th scope="col">Share</th>
              <th scope="col">Calls</th>
              <th scope="col">Failed</th>
              <th scope="col">
                Tokens in
                <To />
                out
              </th>
              <th scope="col">First token p50 / p95</th>
              <th scope="col">Answer p50 / p95</th>
            </tr>
          </thead>
          <tbody>
            {data.models.map((model) => (
              <tr key={model.name}>
                <th scope="row">
                  {model.calls > 0 ? <Link href={to(model.name)}>{model.name}</Link> : model.name}
                  {model.name === data.baseline && <span className="note">baseline</span>}
                </th>
                <td className="left wide-only">
                  {model.provider ?? <span className="muted">not in config</span>}
                  {model.has_key === false && (
                    <span className="note warn" title={`Set ${model.key_env ?? "its key"}`}>
                      no key
                    </span>
                  )}
                </td>
                <td>
                  {money(model.cost_nanos)}
                  {model.unpriced > 0 && (
                    <span className="note warn">{plural(model.unpriced, "call")} unpriced</span>
                  )}
                </td>
                <td>{total > 0 ? percent(model.cost_nanos / total, 0) : "–"}</td>
                <td>{count(model.calls)}</td>
                <td className={model.failed > 0 ? "bad" : ""}>
                  {model.calls > 0 ? percent(model.failed / model.calls) : "–"}
                </td>
                <td>
                  {short(model.input_tokens + model.cache_read_tokens)}
                  <To />
                  {short(model.output_tokens)}
                </td>
                <td>{pair(model.times?.ttft)}</td>
                <td>{pair(model.times?.latency)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {data.sampled && (
        <p className="small muted">Times are measured on a sixteenth of the requests.</p>
      )}
    </div>
  );
}

function pair(times: { p50: number | null; p95: number | null } | undefined): string {
  return times ? `${duration(times.p50)} / ${duration(times.p95)}` : "–";
}

function BeliefList({ found }: { found: Beliefs }) {
  if (found.beliefs.length === 0)
    return (
      <Empty title="No feedback yet">
        <p>
          Rate answers with the thumbs in a request&apos;s story, with{" "}
          <code>POST /v1/feedback</code>, or with <code>mmrouter feedback</code>.
        </p>
      </Empty>
    );
  const models = [...new Set(found.beliefs.map((row) => row.model))].sort();
  return (
    <>
      <div className="wide" tabIndex={0} role="region" aria-label="Feedback by model">
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col" className="left wide-only">
                For
              </th>
              <th scope="col">Scores</th>
              <th scope="col" className="left belief-column">
                Share of good answers: 90% sure
              </th>
              <th scope="col">Place, then and now</th>
            </tr>
          </thead>
          <tbody>
            {found.beliefs.map((row) => (
              <BeliefLine
                key={`${row.complexity} ${row.category} ${row.model}`}
                row={row}
                tone={colour(models.indexOf(row.model))}
              />
            ))}
          </tbody>
        </table>
      </div>
      <p className="small muted">
        {found.enabled
          ? `Adaptive routing is on (${found.strategy}): places follow feedback.`
          : "Adaptive routing is off (adaptive.enabled): places stay as configured."}
      </p>
    </>
  );
}

function BeliefLine({ row, tone }: { row: BeliefRow; tone: string }) {
  return (
    <tr>
      <th scope="row">
        {row.model}
        <span className="narrow-only small muted">
          {row.complexity}/{row.category}
        </span>
      </th>
      <td className="left wide-only">
        {row.complexity}/{row.category}
      </td>
      <td>{count(row.count)}</td>
      <td>
        <Believed row={row} colour={tone} />
      </td>
      <td>
        {row.configured === null ? (
          <span className="muted">not in its route</span>
        ) : (
          <>
            {row.configured}
            <To />
            {row.tried ?? "–"}
          </>
        )}
      </td>
    </tr>
  );
}

function BreakerList({ breakers }: { breakers: Breakers }) {
  const rule = `One opens after ${plural(breakers.threshold, "failure")} in a row, for ${duration(breakers.reset_ms)}.`;
  return (
    <>
      {!breakers.known ? (
        <p>
          What is open now is known where requests are served: open <code>/dashboard</code> of{" "}
          <code>mmrouter serve</code>.
        </p>
      ) : breakers.open.length === 0 ? (
        <p className="good">
          <Icon name="check" /> All closed: no model is being passed over.
        </p>
      ) : (
        <ul className="bad">
          {breakers.open.map((name) => (
            <li key={name}>{name} is failing: passed over while another model can answer</li>
          ))}
        </ul>
      )}
      <p className="small muted">{rule}</p>
      {breakers.changes.length > 0 && <Changes breakers={breakers} />}
    </>
  );
}

function Changes({ breakers }: { breakers: Breakers }) {
  return (
    <div className="wide" tabIndex={0} role="region" aria-label="History of breakers">
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col" className="left">
              Breaker of
            </th>
            <th scope="col" className="left">
              Became
            </th>
          </tr>
        </thead>
        <tbody>
          {breakers.changes.slice(0, 20).map((change) => (
            <tr key={change.id}>
              <th scope="row">{day(change.at)}</th>
              <td className="left">{change.model ?? `${change.provider} (provider)`}</td>
              <td className={`left ${change.phase === "open" ? "bad" : ""}`}>
                {change.phase.replace("_", " ")}
                {change.cause && <span className="note">{change.cause}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Prices({ models }: { models: Model[] }) {
  const usd = (value: number | null) =>
    value === null ? "–" : `$${value.toLocaleString("en-US", { maximumFractionDigits: 4 })}`;
  const rows = models
    .filter((model) => model.known)
    .flatMap((model) =>
      (model.price?.tiers ?? [null]).map((tier: PriceTier | null) => ({ model, tier })),
    );
  return (
    <>
      <div className="wide" tabIndex={0} role="region" aria-label="Prices">
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col">Input</th>
              <th scope="col">Output</th>
              <th scope="col">From cache</th>
              <th scope="col">Into cache</th>
              <th scope="col">Context</th>
              <th scope="col" className="left">
                Price from
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ model, tier }) => (
              <tr key={`${model.name} ${tier?.from_tokens ?? 0}`}>
                <th scope="row">
                  {model.name}
                  {tier !== null && tier.from_tokens > 0 && (
                    <span className="note">from {short(tier.from_tokens)} tokens</span>
                  )}
                </th>
                {tier === null ? (
                  <td colSpan={4} className="warn">
                    unknown: its requests count as &quot;price unknown&quot;
                  </td>
                ) : (
                  <>
                    <td>{usd(tier.input)}</td>
                    <td>{usd(tier.output)}</td>
                    <td>{usd(tier.cache_read)}</td>
                    <td>{usd(tier.cache_write)}</td>
                  </>
                )}
                <td>{model.context_window ? short(model.context_window) : "–"}</td>
                <td className="left muted">{model.price?.source ?? "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="small muted">US dollars per million tokens.</p>
    </>
  );
}
