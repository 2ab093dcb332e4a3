// Where do requests go, and where would this one go?

import { useMutation } from "@tanstack/react-query";
import { Suspense, lazy, useState, type FormEvent } from "react";
import { Link, useSearch } from "wouter";
import { post } from "../api";
import { useFilters } from "../filters";
import { count, money, percent } from "../format";
import { Data, useData } from "../parts/data";
import { FilterBar } from "../parts/filterbar";
import { Icon } from "../parts/icon";
import { Loading } from "../parts/states";
import { Replay } from "./replay";
import { Facts } from "./story";
import {
  CATEGORIES,
  LEVELS,
  type Category,
  type Grid,
  type GridAnswer,
  type Level,
  type Trial,
} from "../types";

const Frontier = lazy(() => import("./frontier")); // with the charts, which the grid need not wait for

const MEASURES = {
  requests: ["Requests", (n: number) => count(n)],
  cost: ["Cost", (n: number) => money(n)],
  each: ["Cost of one request", (n: number) => money(n)],
} as const;
type Measure = keyof typeof MEASURES;

export default function Routing() {
  const { query } = useFilters();
  const grid = useData<Grid>(`grid?${query}`);
  return (
    <>
      <FilterBar title="Routing" />
      <div className="stack">
        <Data query={grid}>{(data) => <Buckets grid={data} />}</Data>
        <Suspense fallback={<Loading />}>
          <Frontier />
        </Suspense>
        <TryPrompt />
        <Replay />
      </div>
    </>
  );
}

function Buckets({ grid }: { grid: Grid }) {
  const [measure, setMeasure] = useState<Measure>("requests");
  const [, show] = MEASURES[measure];
  const cells = new Map<string, GridAnswer[]>();
  for (const answer of grid.answers) {
    const name = `${answer.complexity}/${answer.category}`;
    cells.set(name, [...(cells.get(name) ?? []), answer]);
  }
  const value = (answers: GridAnswer[]) => {
    const requests = answers.reduce((sum, row) => sum + row.requests, 0);
    const cost = answers.reduce((sum, row) => sum + row.cost_nanos, 0);
    if (measure === "requests") return requests;
    return measure === "cost" ? cost : requests > 0 ? cost / requests : 0;
  };
  const most = Math.max(
    1e-9,
    ...LEVELS.flatMap((l) => CATEGORIES.map((c) => value(cells.get(`${l}/${c}`) ?? []))),
  );
  const total = grid.answers.reduce((sum, row) => sum + row.requests, 0);
  const named = (cells.get("null/null") ?? []).reduce((sum, row) => sum + row.requests, 0);
  return (
    <section className="card" aria-label="Buckets">
      <div className="bar tight">
        <h2>Twelve buckets</h2>
        <div className="bar-tools" role="group" aria-label="Show">
          {(Object.keys(MEASURES) as Measure[]).map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={measure === name}
              onClick={() => setMeasure(name)}
            >
              {MEASURES[name][0]}
            </button>
          ))}
        </div>
      </div>
      <div className="wide" tabIndex={0} role="region" aria-label="Grid of buckets">
        <table className="grid">
          <thead>
            <tr>
              <td />
              {CATEGORIES.map((category) => (
                <th key={category} scope="col">
                  {category}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {LEVELS.map((level) => (
              <tr key={level}>
                <th scope="row">{level}</th>
                {CATEGORIES.map((category) => {
                  const answers = cells.get(`${level}/${category}`) ?? [];
                  return (
                    <Bucket
                      key={category}
                      level={level}
                      category={category}
                      heat={value(answers) / most}
                      text={answers.length > 0 ? show(value(answers)) : "–"}
                      share={total > 0 ? sum(answers) / total : 0}
                      answers={answers}
                      route={grid.routes.find(
                        (row) => row.complexity === level && row.category === category,
                      )}
                    />
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {named > 0 && (
        <p className="small muted">
          {count(named)} more named their model themselves and were not classified.
        </p>
      )}
    </section>
  );
}

function sum(answers: GridAnswer[]): number {
  return answers.reduce((total, row) => total + row.requests, 0);
}

function Bucket({
  level,
  category,
  heat,
  text,
  share,
  answers,
  route,
}: {
  level: Level;
  category: Category;
  heat: number;
  text: string;
  share: number;
  answers: GridAnswer[];
  route: Grid["routes"][number] | undefined;
}) {
  const search = new URLSearchParams(useSearch());
  search.set("complexity", level);
  search.set("category", category);
  const others = answers.filter((row) => row.model !== route?.model);
  const elsewhere = sum(others) / Math.max(1, sum(answers));
  return (
    <td>
      <div className="heat" style={{ opacity: 0.02 + 0.36 * heat }} />
      <Link className="bucket" href={`/requests?${search}`}>
        <strong>{text}</strong>
        <span className="small">{share > 0 ? `${percent(share, 0)} of requests` : "no requests"}</span>
        <span className="small">
          <Icon name="to" label="to" /> {route?.model}
        </span>
        {elsewhere > 0.005 && (
          <span className="small">{percent(elsewhere, 0)} another, or none</span>
        )}
      </Link>
    </td>
  );
}

function TryPrompt() {
  const [prompt, setPrompt] = useState("");
  const [model, setModel] = useState("auto");
  const attempt = useMutation({
    mutationFn: () => post<Trial>("trial", { prompt, model }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    attempt.mutate();
  };
  return (
    <section className="card" aria-label="Try a prompt">
      <h2>Try a prompt: the decision, with no call and no cost</h2>
      <form className="try" onSubmit={submit}>
        <label>
          Prompt
          <textarea
            rows={4}
            required
            value={prompt}
            placeholder="Prove that the square root of 2 is irrational"
            onChange={(event) => setPrompt(event.target.value)}
          />
        </label>
        <div className="bar-tools">
          <label className="inline">
            Dial
            <select value={model} onChange={(event) => setModel(event.target.value)}>
              {["auto", "auto:cheap", "auto:balanced", "auto:best"].map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <button type="submit" className="primary" disabled={attempt.isPending}>
            {attempt.isPending ? "Deciding…" : "Decide"}
          </button>
        </div>
      </form>
      <div aria-live="polite">
        {attempt.error && <p className="bad">{attempt.error.message}</p>}
        {attempt.data && <Decision trial={attempt.data} />}
      </div>
    </section>
  );
}

function Decision({ trial }: { trial: Trial }) {
  const label = trial.classification;
  return (
    <div className="decision">
      {label && (
        <Facts
          rows={[
            ["Bucket", `${label.complexity}/${label.category}`],
            ["Confidence", percent(label.confidence, 0)],
            ["Chance that a weak model fails", percent(label.difficulty, 0)],
            ["By", label.strategy],
            ["Prompt tokens, about", trial.input_tokens === undefined ? null : count(trial.input_tokens)],
          ]}
        />
      )}
      {trial.refused && <p className="warn">Nobody would be called: {trial.refused}</p>}
      {trial.reasons.length > 0 && (
        <ol className="reasons">
          {trial.reasons.map((reason, index) => (
            <li key={index}>{reason}</li>
          ))}
        </ol>
      )}
      {trial.candidates.length > 0 && (
        <div className="wide">
          <table className="plain-table">
            <thead>
              <tr>
                <th scope="col">Asked in this order</th>
                <th scope="col" className="left">
                  As
                </th>
                <th scope="col">Expected cost</th>
                <th scope="col">At most</th>
              </tr>
            </thead>
            <tbody>
              {trial.candidates.map((candidate, index) => (
                <tr key={candidate.model}>
                  <th scope="row">
                    {index + 1}. {candidate.model}
                    {candidate.gated && <span className="note warn">gated</span>}
                  </th>
                  <td className="left">{candidate.role}</td>
                  <td>{money(candidate.estimate_nanos)}</td>
                  <td>{money(candidate.bound_nanos)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
