// Which of two configs is better?

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Fragment, useState } from "react";
import { post } from "../api";
import { count, day, duration, percent } from "../format";
import { Data, useData } from "../parts/data";
import { Interval as Bar } from "../parts/interval";
import { Empty } from "../parts/states";
import type { Against, ExperimentReport, Experiments, Interval, Metric } from "../types";
import { Create } from "./experiment-form";

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
                    An experiment sends a share of the requests by another config and compares cost,
                    waiting times, errors and feedback. Start one here, or with{" "}
                    <code>mmrouter experiment create</code>.
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
  const used = METRICS.filter(([metric]) =>
    experiment.variants.some((variant) => variant.metrics[metric].count > 0),
  );
  return (
    <section className="card" aria-label={`Experiment ${experiment.name}`}>
      <h2>
        {experiment.name}{" "}
        <span className={experiment.running ? "note good" : "note"}>
          {experiment.running ? "running" : `stopped: ${experiment.reason ?? ""}`}
        </span>
      </h2>
      <p className="muted">
        Since {day(experiment.created)}, split by {experiment.unit}.{" "}
        {experiment.guardrail_error_rate === null
          ? "No guardrail."
          : `A variant is halted when surely more than ${percent(experiment.guardrail_error_rate)} of its requests fail.`}
      </p>
      <ul className="variants" aria-label={`Variants of ${experiment.name}`}>
        {experiment.variants.map((variant) => (
          <li key={variant.name}>
            <strong>{variant.name}</strong> {percent(variant.share, 0)}:{" "}
            {count(variant.requests)} requests of {count(variant.units)} {experiment.unit}s
            {variant.halted && <span className="note bad">halted: {variant.halted}</span>}
          </li>
        ))}
      </ul>
      {used.length === 0 ? (
        <p>No request has gone through it yet.</p>
      ) : (
        <>
          <div className="metrics">
            {used.map(([metric, title, show]) => (
              <MetricTable
                key={metric}
                metric={metric}
                title={title}
                show={show}
                experiment={experiment}
              />
            ))}
          </div>
          <p className="small muted">
            Bars are 95% intervals, as sure as the number of {experiment.unit}s allows. Differences
            from the control hold however often you look.
          </p>
        </>
      )}
      {experiment.running && <Stop name={experiment.name} />}
    </section>
  );
}

/** One metric of all variants, on one scale. */
function MetricTable({
  metric,
  title,
  show,
  experiment,
}: {
  metric: Metric;
  title: string;
  show: (value: number) => string;
  experiment: ExperimentReport;
}) {
  const all = experiment.variants.map((variant) => variant.metrics[metric]);
  const most = Math.max(...all.map((one) => one.high ?? one.mean ?? 0));
  return (
    <table className="plain-table metric">
      <caption>{title}</caption>
      <thead className="hidden">
        <tr>
          <th scope="col">Variant</th>
          <th scope="col">Mean</th>
          <th scope="col">95% interval</th>
        </tr>
      </thead>
      <tbody>
        {experiment.variants.map((variant) => {
          const mean = variant.metrics[metric];
          const against = variant.against_control?.[metric];
          return (
            <Fragment key={variant.name}>
              <tr className={against ? "joined" : ""}>
                <th scope="row">{variant.name}</th>
                <td>{mean.mean === null ? "–" : show(mean.mean)}</td>
                <td>
                  <Scaled label={`${title}, ${variant.name}`} mean={mean} most={most} show={show} />
                </td>
              </tr>
              {against && (
                <tr>
                  <td colSpan={3} className="left">
                    <Difference against={against} unit={experiment.unit} show={show} />
                  </td>
                </tr>
              )}
            </Fragment>
          );
        })}
      </tbody>
    </table>
  );
}

function Scaled({
  label,
  mean: { mean, low, high },
  most,
  show,
}: {
  label: string;
  mean: Interval;
  most: number;
  show: (value: number) => string;
}) {
  if (mean === null || low === null || high === null) return null;
  const x = (value: number) => (most > 0 ? Math.max(0, value) / most : 0);
  return (
    <Bar
      label={`${label}: between ${show(Math.max(0, low))} and ${show(high)}`}
      mean={x(mean)}
      low={x(low)}
      high={x(high)}
    />
  );
}

/** How far a variant is from the control, and how sure that is. */
function Difference({
  against,
  unit,
  show,
}: {
  against: Against;
  unit: string;
  show: (value: number) => string;
}) {
  if (against.value === null || against.low === null || against.high === null)
    return <span className="small muted">Too few to compare with the control</span>;
  const sign = (value: number) => `${value < 0 ? "−" : "+"}${show(Math.abs(value))}`;
  const needed = against.still_needed;
  return (
    <span className={`small ${against.decided ? "" : "muted"}`}>
      {against.decided ? (
        <strong>Surely {against.value < 0 ? "less" : "more"} than the control</strong>
      ) : (
        "Not surely different from the control"
      )}
      : <span className="nowrap">{sign(against.low)}</span> to{" "}
      <span className="nowrap">{sign(against.high)}</span>
      {!against.decided && needed ? `; ${count(needed)} more ${unit}s would show a difference of 10%` : ""}
    </span>
  );
}

/** Stopping is for good, so it is asked for twice. */
function Stop({ name }: { name: string }) {
  const client = useQueryClient();
  const [asked, setAsked] = useState(false);
  const stop = useMutation({
    mutationFn: () => post(`experiments/${encodeURIComponent(name)}/stop`, {}),
    onSuccess: () => client.invalidateQueries(),
  });
  if (!asked)
    return (
      <button type="button" onClick={() => setAsked(true)}>
        Stop {name}
      </button>
    );
  return (
    <div className="confirm" role="group" aria-label={`Stop ${name}?`}>
      <p>
        Stop it for good? All requests go by the config in force again; what was measured stays. It
        cannot be taken up again.
      </p>
      <button type="button" autoFocus disabled={stop.isPending} onClick={() => setAsked(false)}>
        Let it run
      </button>
      <button
        type="button"
        className="danger"
        disabled={stop.isPending}
        onClick={() => stop.mutate()}
      >
        Yes, stop {name}
      </button>
      {stop.error && (
        <p className="bad" role="alert">
          {stop.error.message}
        </p>
      )}
    </div>
  );
}
