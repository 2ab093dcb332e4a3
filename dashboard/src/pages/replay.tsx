// What would another config have cost? The requests in view, decided again.

import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { post } from "../api";
import { useFilters } from "../filters";
import { count, money, percent } from "../format";
import { Data, useData } from "../parts/data";
import { To } from "../parts/icon";

interface Usd {
  value: number;
  low: number;
  high: number;
}

interface ReplayAnswer {
  requests: number;
  skipped: Record<string, number>;
  most: number;
  cascades: boolean;
  baseline: string;
  configs: { config: string; cost_usd: Usd; saved_usd: Usd; models: Record<string, number> }[];
  comparison: {
    cost_increase: number;
    flips: number;
    flipped: { from: string; to: string; requests: number }[];
  };
}

export function Replay() {
  const config = useData<{ text: string; most: number }>("config");
  return (
    <section className="card" aria-label="Replay">
      <h2>Replay: what would another config have cost?</h2>
      <Data query={config}>{(data) => <Form text={data.text} most={data.most} />}</Data>
    </section>
  );
}

function Form({ text: given, most }: { text: string; most: number }) {
  const { query } = useFilters();
  const [text, setText] = useState(given);
  const run = useMutation({
    mutationFn: () => {
      const filter = Object.fromEntries(new URLSearchParams(query));
      return post<ReplayAnswer>("replay", { config: text, filter });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    run.mutate();
  };
  return (
    <>
      <form className="try" onSubmit={submit}>
        <label>
          The config in force; edit it
          <textarea
            rows={12}
            className="code"
            spellCheck={false}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </label>
        <div className="bar-tools">
          <span className="small muted">
            The requests in view, the oldest {count(most)} at most; nobody is called.
          </span>
          <button type="button" onClick={() => setText(given)} disabled={text === given}>
            As it was
          </button>
          <button type="submit" className="primary" disabled={run.isPending}>
            {run.isPending ? "Deciding again…" : "Replay"}
          </button>
        </div>
      </form>
      <div aria-live="polite">
        {run.error && <pre className="bad">{run.error.message}</pre>}
        {run.data && <Difference answer={run.data} />}
      </div>
    </>
  );
}

function Difference({ answer }: { answer: ReplayAnswer }) {
  const { cost_increase: increase, flips, flipped } = answer.comparison;
  const skipped = Object.entries(answer.skipped);
  return (
    <div className="decision">
      <p>
        <strong className={increase > 0 ? "bad" : increase < 0 ? "good" : ""}>
          {increase === 0
            ? "The cost would be the same"
            : `The edited config would cost ${percent(Math.abs(increase))} ${increase > 0 ? "more" : "less"}`}
        </strong>
        ; {percent(flips)} of {count(answer.requests)} requests would go to another model.
      </p>
      <div className="wide" tabIndex={0} role="region" aria-label="Both configs">
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">Config</th>
              <th scope="col">Cost</th>
              <th scope="col">95% sure</th>
              <th scope="col">Saved against {answer.baseline}</th>
              <th scope="col" className="left">
                Models
              </th>
            </tr>
          </thead>
          <tbody>
            {answer.configs.map((row) => (
              <tr key={row.config}>
                <th scope="row">{row.config}</th>
                <td>{usd(row.cost_usd.value)}</td>
                <td>
                  {usd(row.cost_usd.low)} – {usd(row.cost_usd.high)}
                </td>
                <td>{usd(row.saved_usd.value)}</td>
                <td className="left">
                  {Object.entries(row.models)
                    .map(([name, requests]) => `${name} ${count(requests)}`)
                    .join(", ")}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {flipped.length > 0 && (
        <ul className="small">
          {flipped.map((row) => (
            <li key={`${row.from} ${row.to}`}>
              {row.from}
              <To />
              {row.to}: {count(row.requests)}
            </li>
          ))}
        </ul>
      )}
      <p className="small muted">
        {skipped.length > 0 &&
          `Left out: ${skipped.map(([why, number]) => `${count(number)} because ${why}`).join("; ")}. `}
        {answer.cascades && "Of a cascade only the first model is counted."}
      </p>
    </div>
  );
}

function usd(value: number): string {
  return money(value * 1e9);
}
