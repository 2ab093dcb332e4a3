// Which models give the most for their money?

import {
  CartesianGrid,
  ErrorBar,
  LabelList,
  ResponsiveContainer,
  Scatter,
  ScatterChart,
  XAxis,
  YAxis,
} from "recharts";
import { useFilters } from "../filters";
import { count, money, percent } from "../format";
import { Data, useData } from "../parts/data";
import { Empty } from "../parts/states";
import type { Model, Models } from "../types";

interface Point {
  name: string;
  cost: number;
  good: number;
  low: number;
  high: number;
  scores: number;
  best: boolean;
}

export default function Frontier() {
  const { query } = useFilters();
  const models = useData<Models>(`models?${query}`);
  return (
    <section className="card" aria-label="Cost and quality">
      <h2>Cost and quality: which model is worth its price?</h2>
      <Data query={models}>{(data) => <Chart points={points(data.models)} />}</Data>
    </section>
  );
}

function Chart({ points }: { points: Point[] }) {
  if (points.length === 0)
    return (
      <Empty title="Nobody has said yet how good the answers are">
        <p>
          Rate answers in a request&apos;s story, or have your application send{" "}
          <code>POST /v1/feedback</code>: each model then has its place here.
        </p>
      </Empty>
    );
  const best = points.filter((point) => point.best);
  return (
    <>
      <div aria-hidden="true">
        <ResponsiveContainer width="100%" height={260}>
          <ScatterChart margin={{ top: 16, right: 24, bottom: 4, left: 0 }}>
            <CartesianGrid stroke="var(--line)" />
            <XAxis
              type="number"
              dataKey="cost"
              tickFormatter={money}
              tick={AXIS}
              stroke="var(--line)"
              domain={[0, (most: number) => most * 1.3]}
            />
            <YAxis
              type="number"
              dataKey="good"
              tickFormatter={(share: number) => percent(share, 0)}
              tick={AXIS}
              width={52}
              stroke="none"
              domain={[0, 1]}
            />
            <Scatter data={best} line={{ stroke: "var(--s3)" }} fill="none" isAnimationActive={false} />
            <Scatter
              data={points.map((point) => ({
                ...point,
                reach: [point.good - point.low, point.high - point.good],
              }))}
              fill="var(--s1)"
              isAnimationActive={false}
            >
              <ErrorBar dataKey="reach" direction="y" stroke="var(--muted)" width={5} />
              <LabelList dataKey="name" content={Name} />
            </Scatter>
          </ScatterChart>
        </ResponsiveContainer>
      </div>
      <div className="wide" tabIndex={0} role="region" aria-label="Cost and quality by model">
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col">Cost of a call</th>
              <th scope="col">Good answers</th>
              <th scope="col">95% sure</th>
              <th scope="col">Scores</th>
            </tr>
          </thead>
          <tbody>
            {points.map((point) => (
              <tr key={point.name}>
                <th scope="row">
                  {point.name}
                  {!point.best && <span className="note warn">a cheaper one is liked more</span>}
                </th>
                <td>{money(point.cost)}</td>
                <td>{percent(point.good, 0)}</td>
                <td>
                  {percent(point.low, 0)} – {percent(point.high, 0)}
                </td>
                <td>{count(point.scores)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="small muted">
        By people&apos;s feedback. Models answer different prompts, the dear ones the hard ones: to
        compare like with like, choose a complexity and a category in the filters.
      </p>
    </>
  );
}

/** Below and beside its point, clear of the line and of the interval. */
function Name({ x, y, value }: { x?: unknown; y?: unknown; value?: unknown }) {
  return (
    <text x={Number(x) + 14} y={Number(y) + 22} fill="var(--text)" fontSize={12}>
      {String(value)}
    </text>
  );
}

const AXIS = { fontSize: 12, fill: "var(--muted)" };

/** Models with feedback, cheapest first; the best are those that no cheaper one equals. */
function points(models: Model[]): Point[] {
  let most = -1;
  return models
    .flatMap((model) => {
      const scores = model.feedback.reduce((sum, row) => sum + row.count, 0);
      const priced = model.calls - model.unpriced;
      if (scores === 0 || priced === 0) return [];
      const good = model.feedback.reduce((sum, row) => sum + row.sum, 0) / scores;
      const [low, high] = wilson(good, scores);
      return [{ name: model.name, cost: model.cost_nanos / priced, good, low, high, scores }];
    })
    .sort((a, b) => a.cost - b.cost || b.good - a.good)
    .map((point) => {
      const best = point.good > most;
      most = Math.max(most, point.good);
      return { ...point, best };
    });
}

/** The 95 % interval of a share (Wilson 1927). */
function wilson(share: number, trials: number): [number, number] {
  const z = 1.96;
  const middle = share + (z * z) / (2 * trials);
  const reach = z * Math.sqrt((share * (1 - share)) / trials + (z * z) / (4 * trials * trials));
  const whole = 1 + (z * z) / trials;
  return [Math.max(0, (middle - reach) / whole), Math.min(1, (middle + reach) / whole)];
}
