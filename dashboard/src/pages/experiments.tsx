// Which of two configs is better?

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "../api";
import { count, day, duration, percent } from "../format";
import { Data, useData } from "../parts/data";
import { Empty } from "../parts/states";
import type { Against, ExperimentReport, Experiments, Interval, Metric, VariantReport } from "../types";

const METRICS: [Metric, string, (value: number) => string][] = [
  ["cost_usd", "Cost of one", (value) => `$${value.toLocaleString("en-US", { maximumSignificantDigits: 3 })}`],
  ["latency_ms", "Time taken", (value) => duration(value)],
  ["error_rate", "Failed", (value) => percent(value)],
  ["feedback", "Feedback", (value) => percent(value, 0)],
  ["judge_score", "Judge", (value) => percent(value, 0)],
];

export default function ExperimentsPage() {
  const found = useData<Experiments>("experiments");
  return (
    <>
      <div className="bar">
        <h1>Experiments</h1>
      </div>
      <Data query={found}>
        {({ experiments }) => (
          <div className="stack">
            {experiments.map((one) => (
              <Experiment key={one.name} experiment={one} />
            ))}
            {experiments.length === 0 && (
              <div className="card">
                <Empty title="There has been no experiment yet">
                  <p>
                    An experiment sends a share of the conversations by another config and compares
                    cost, waiting times, errors and feedback.
                  </p>
                </Empty>
              </div>
            )}
            {!experiments.some((one) => one.running) && <Create />}
          </div>
        )}
      </Data>
    </>
  );
}

function Experiment({ experiment }: { experiment: ExperimentReport }) {
  const client = useQueryClient();
  const stop = useMutation({
    mutationFn: () => post(`experiments/${encodeURIComponent(experiment.name)}/stop`, {}),
    onSuccess: () => client.invalidateQueries(),
  });
  const used = METRICS.filter(([metric]) =>
    experiment.variants.some((variant) => variant.metrics[metric].count > 0),
  );
  return (
    <div className="card">
      <h2>
        {experiment.name}{" "}
        <span className={experiment.running ? "note good" : "note"}>
          {experiment.running ? "running" : `stopped: ${experiment.reason ?? ""}`}
        </span>
      </h2>
      <p className="muted">
        Since {day(experiment.created)}, split by {experiment.unit}
        {experiment.guardrail_error_rate !== null &&
          `; a variant is halted when surely more than ${percent(experiment.guardrail_error_rate)} fail`}
        .
      </p>
      <div className="wide" tabIndex={0} role="region" aria-label={`Variants of ${experiment.name}`}>
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">Variant</th>
              <th scope="col">Requests</th>
              {used.map(([metric, title]) => (
                <th key={metric} scope="col">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {experiment.variants.map((variant) => (
              <Row key={variant.name} variant={variant} used={used} all={experiment.variants} />
            ))}
          </tbody>
        </table>
      </div>
      {experiment.running && (
        <>
          <p className="small muted">
            Bars are 95% intervals. Differences from the control hold however often you look.
          </p>
          <button type="button" disabled={stop.isPending} onClick={() => stop.mutate()}>
            Stop {experiment.name}
          </button>
        </>
      )}
      {stop.error && (
        <p className="bad" role="alert">
          {stop.error.message}
        </p>
      )}
    </div>
  );
}

function Row({
  variant,
  used,
  all,
}: {
  variant: VariantReport;
  used: typeof METRICS;
  all: VariantReport[];
}) {
  return (
    <tr>
      <th scope="row">
        {variant.name} <span className="note">{percent(variant.share, 0)}</span>
        {variant.halted && <span className="note bad">halted: {variant.halted}</span>}
      </th>
      <td>{count(variant.requests)}</td>
      {used.map(([metric, title, show]) => (
        <td key={metric}>
          <Mean mean={variant.metrics[metric]} show={show} />
          <Bar
            label={`${title}, ${variant.name}`}
            mean={variant.metrics[metric]}
            others={all.map((other) => other.metrics[metric])}
          />
          <Difference against={variant.against_control?.[metric]} show={show} />
        </td>
      ))}
    </tr>
  );
}

function Mean({ mean, show }: { mean: Interval; show: (value: number) => string }) {
  return mean.mean === null ? <>–</> : <>{show(mean.mean)}</>;
}

/** Where the mean lies, on a scale that all variants share. */
function Bar({ label, mean, others }: { label: string; mean: Interval; others: Interval[] }) {
  const { low, high } = mean;
  if (mean.mean === null || low === null || high === null) return null;
  const most = Math.max(...others.map((other) => other.high ?? other.mean ?? 0));
  const x = (value: number) => (most > 0 ? (Math.max(0, value) / most) * 100 : 0);
  return (
    <svg
      className="belief"
      viewBox="0 0 100 10"
      preserveAspectRatio="none"
      role="img"
      aria-label={`${label}: ${percent(x(low) / 100, 0)} to ${percent(x(high) / 100, 0)} of the scale`}
    >
      <rect className="track" y="4" width="100" height="2" />
      <rect
        x={x(low)}
        y="2"
        width={Math.max(0.5, x(high) - x(low))}
        height="6"
        opacity="0.45"
        fill="var(--s1)"
      />
      <rect x={Math.max(0, x(mean.mean) - 0.7)} width="1.4" height="10" fill="var(--s1)" />
    </svg>
  );
}

function Difference({
  against,
  show,
}: {
  against: Against | undefined;
  show: (value: number) => string;
}) {
  if (!against || against.value === null) return null;
  if (against.low === null || against.high === null)
    return <span className="small muted">too few to compare</span>;
  const sign = (value: number) => `${value < 0 ? "−" : "+"}${show(Math.abs(value))}`;
  return (
    <span className={`small ${against.decided ? "" : "muted"}`}>
      {sign(against.low)} to {sign(against.high)}
      {against.decided
        ? ": a difference"
        : against.still_needed
          ? `; ${count(against.still_needed)} more to see 10%`
          : ""}
    </span>
  );
}

function Create() {
  const client = useQueryClient();
  const config = useData<{ text: string }>("config");
  const [name, setName] = useState("");
  const [share, setShare] = useState("50");
  const [text, setText] = useState<string | null>(null);
  const create = useMutation({
    mutationFn: () =>
      post("experiments", {
        name,
        share: Number(share) / 100,
        treatment: text ?? config.data?.text ?? "",
      }),
    onSuccess: () => client.invalidateQueries(),
  });
  return (
    <form
      className="card"
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <h2>Start one</h2>
      <div className="stack">
        <label>
          Name
          <input required value={name} onChange={(event) => setName(event.target.value)} />
        </label>
        <label>
          Share of the treatment, %
          <input
            type="number"
            min="1"
            max="99"
            required
            value={share}
            onChange={(event) => setShare(event.target.value)}
          />
        </label>
        <label>
          The treatment: the config in force, edited
          <textarea
            rows={12}
            spellCheck={false}
            value={text ?? config.data?.text ?? ""}
            onChange={(event) => setText(event.target.value)}
          />
        </label>
        {create.error && (
          <p className="bad" role="alert">
            {create.error.message}
          </p>
        )}
        <button type="submit" className="primary" disabled={create.isPending || !config.data}>
          Start the experiment
        </button>
      </div>
    </form>
  );
}
