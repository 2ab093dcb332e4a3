// Charts over time. Each has its figures as a table too, for who cannot see it.

import {
  Area,
  AreaChart,
  Bar,
  BarChart,
  CartesianGrid,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";
import { tick, time } from "../format";
import { colour } from "./colour";

export type Slot = { start: number } & Record<string, number>;

interface Props {
  title: string;
  slots: Slot[];
  step: number;
  names: string[];
  show: (value: number) => string;
}

const AXIS = { fontSize: 12, fill: "var(--muted)" };
const TOOLTIP = {
  background: "var(--card)",
  border: "1px solid var(--line)",
  borderRadius: 6,
  color: "var(--text)",
};


export function Stacked({ title, slots, step, names, show }: Props) {
  return (
    <figure className="chart">
      <ResponsiveContainer width="100%" height={230}>
        <BarChart data={slots} margin={{ top: 8, right: 4, bottom: 0, left: 0 }}>
          <CartesianGrid vertical={false} stroke="var(--line)" />
          <XAxis
            dataKey="start"
            tickFormatter={(at: number) => tick(at, step)}
            tick={AXIS}
            minTickGap={28}
            stroke="var(--line)"
          />
          <YAxis tickFormatter={show} tick={AXIS} width={64} stroke="none" />
          <Tooltip
            labelFormatter={(at) => time(Number(at))}
            formatter={(value) => show(Number(value))}
            contentStyle={TOOLTIP}
            cursor={{ fill: "var(--line)", opacity: 0.4 }}
          />
          {names.map((name, index) => (
            <Bar
              key={name}
              dataKey={name}
              stackId="all"
              fill={colour(index)}
              isAnimationActive={false}
            />
          ))}
        </BarChart>
      </ResponsiveContainer>
      <Legend names={names} />
      <AsTable title={title} slots={slots} names={names} show={show} />
    </figure>
  );
}

export function Lines({ title, slots, step, names, show }: Props) {
  return (
    <figure className="chart">
      <ResponsiveContainer width="100%" height={230}>
        <AreaChart data={slots} margin={{ top: 8, right: 4, bottom: 0, left: 0 }}>
          <CartesianGrid vertical={false} stroke="var(--line)" />
          <XAxis
            dataKey="start"
            tickFormatter={(at: number) => tick(at, step)}
            tick={AXIS}
            minTickGap={28}
            stroke="var(--line)"
          />
          <YAxis tickFormatter={show} tick={AXIS} width={64} stroke="none" />
          <Tooltip
            labelFormatter={(at) => time(Number(at))}
            formatter={(value) => show(Number(value))}
            contentStyle={TOOLTIP}
          />
          {names.map((name, index) => (
            <Area
              key={name}
              type="monotone"
              dataKey={name}
              stroke={colour(index)}
              fill={colour(index)}
              fillOpacity={0.15}
              strokeWidth={2}
              isAnimationActive={false}
            />
          ))}
        </AreaChart>
      </ResponsiveContainer>
      <Legend names={names} />
      <AsTable title={title} slots={slots} names={names} show={show} />
    </figure>
  );
}

function Legend({ names }: { names: string[] }) {
  return (
    <ul className="legend" aria-hidden="true">
      {names.map((name, index) => (
        <li key={name}>
          <svg viewBox="0 0 10 10" width="10" height="10">
            <rect width="10" height="10" rx="2" fill={colour(index)} />
          </svg>
          {name}
        </li>
      ))}
    </ul>
  );
}

function AsTable({ title, slots, names, show }: Omit<Props, "step">) {
  return (
    <div className="hidden">
    <table>
      <caption>{title}</caption>
      <thead>
        <tr>
          <th scope="col">Time</th>
          {names.map((name) => (
            <th key={name} scope="col">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {slots.map((slot) => (
          <tr key={slot.start}>
            <th scope="row">{time(slot.start)}</th>
            {names.map((name) => (
              <td key={name}>{show(slot[name] ?? 0)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
    </div>
  );
}
