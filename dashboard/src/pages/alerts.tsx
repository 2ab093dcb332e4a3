// Is something wrong now, and who was told?

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { post } from "../api";
import { count, day, duration, percent } from "../format";
import { Data, useData } from "../parts/data";
import { Icon } from "../parts/icon";
import { Meter } from "../parts/meter";
import { Empty } from "../parts/states";
import type { AlertHistory, AlertRule, AlertStatus } from "../types";

const EXAMPLE = `alerts:
  enabled: true
  webhook_url: https://hooks.example.com/...
  rules: [cost_spike, error_rate, budget_warning]`;

export default function Alerts() {
  const status = useData<AlertStatus>("alerts/status");
  const history = useData<AlertHistory>("alerts/history?limit=100");
  return (
    <>
      <div className="bar">
        <h1>Alerts</h1>
      </div>
      <Data query={status}>
        {(data) => (
          <div className="stack">
            {!data.enabled && (
              <div className="card">
                <Empty title="Alerts are off">
                  <p>Turn them on in the config, to hear of trouble before the bill does:</p>
                  <pre>{EXAMPLE}</pre>
                </Empty>
              </div>
            )}
            <div className="card">
              <h2>What is up now</h2>
              <Up status={data} />
            </div>
            <div className="card">
              <h2>What each rule says now</h2>
              <Rules rules={data.rules} />
            </div>
            <div className="card">
              <h2>Who is told</h2>
              <Channels status={data} />
            </div>
            <div className="card">
              <h2>What people were told</h2>
              <Data query={history}>{(found) => <History history={found} />}</Data>
            </div>
          </div>
        )}
      </Data>
    </>
  );
}

function Up({ status }: { status: AlertStatus }) {
  if (status.up.length === 0)
    return (
      <p className="good">
        <Icon name="check" /> Nothing. Whatever was raised is over.
      </p>
    );
  const said = new Map(status.rules.map((rule) => [`${rule.rule} ${rule.subject}`, rule.text]));
  return (
    <ul className="up">
      {status.up.map((one) => (
        <li key={`${one.rule} ${one.subject}`}>
          <strong className="bad">
            <Icon name="alert" /> {words(one.rule)} {one.subject}
          </strong>{" "}
          {said.get(`${one.rule} ${one.subject}`)}{" "}
          <span className="muted small">told {day(one.told)}, and not over yet</span>
        </li>
      ))}
    </ul>
  );
}

function Rules({ rules }: { rules: AlertRule[] }) {
  const sorted = [...rules].sort((a, b) => Number(b.firing) - Number(a.firing));
  return (
    <div className="wide" tabIndex={0} role="region" aria-label="Rules">
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Rule</th>
            <th scope="col" className="left">
              State
            </th>
            <th scope="col">Now</th>
            <th scope="col">Fires above</th>
            <th scope="col" className="left belief-column wide-only">
              How near
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((rule) => (
            <tr key={`${rule.rule} ${rule.subject}`}>
              <th scope="row">
                {words(rule.rule)}
                {rule.subject && <span className="note">{rule.subject}</span>}
                {!rule.on && <span className="note">not in alerts.rules</span>}
              </th>
              <td className={`left ${rule.firing ? "bad" : "good"}`}>
                <Icon name={rule.firing ? "alert" : "check"} /> {rule.firing ? rule.text : "quiet"}
              </td>
              <td>{shown(rule.value, rule.unit)}</td>
              <td>{shown(rule.threshold, rule.unit)}</td>
              <td className="wide-only">
                {rule.value !== null && (
                  <Meter
                    label={`${words(rule.rule)} ${rule.subject}`.trim()}
                    value={rule.value}
                    most={rule.threshold || 1}
                    tone={rule.firing ? "bad" : "good"}
                  />
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Channels({ status }: { status: AlertStatus }) {
  const client = useQueryClient();
  const trial = useMutation({
    mutationFn: () => post<{ delivered: Record<string, string | null> }>("alerts/test", {}),
    onSettled: () => client.invalidateQueries(),
  });
  const sent = trial.data && Object.entries(trial.data.delivered);
  return (
    <>
      <p>
        By {status.channels.join(", ")}. A rule that has spoken of something is quiet about it for{" "}
        {duration(status.cooldown_s * 1000)}.
      </p>
      <button type="button" disabled={trial.isPending} onClick={() => trial.mutate()}>
        Send a trial
      </button>
      <div aria-live="polite">
        {trial.error && <p className="bad">{trial.error.message}</p>}
        {sent?.length === 0 && (
          <p>Written to the log alone: the config names no other channel.</p>
        )}
        {sent?.map(([channel, fault]) => (
          <p key={channel} className={fault === null ? "good" : "bad"}>
            {channel}: {fault ?? "delivered"}
          </p>
        ))}
      </div>
    </>
  );
}

function History({ history }: { history: AlertHistory }) {
  if (history.alerts.length === 0)
    return (
      <Empty title="Nobody was told of anything">
        <p>
          What rules raise stands here. Try the way to you with the button above, or with{" "}
          <code>mmrouter alerts test</code>.
        </p>
      </Empty>
    );
  return (
    <div className="wide" tabIndex={0} role="region" aria-label="History">
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col" className="left">
              What
            </th>
            <th scope="col" className="left">
              Told
            </th>
          </tr>
        </thead>
        <tbody>
          {history.alerts.map((alert) => (
            <tr key={alert.id}>
              <th scope="row">{day(alert.at)}</th>
              <td className="left">
                <strong>{alert.kind === "raised" ? words(alert.rule) : alert.kind}</strong>{" "}
                {alert.subject} {alert.text}
              </td>
              <td className="left">
                {["log", ...Object.keys(alert.delivered)].map((channel) => (
                  <span key={channel} className={alert.delivered[channel] ? "note bad" : "note"}>
                    {channel}
                    {alert.delivered[channel] && `: ${alert.delivered[channel]}`}
                  </span>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function words(rule: string): string {
  return rule.replaceAll("_", " ");
}

function shown(value: number | null, unit: AlertRule["unit"]): string {
  if (value === null) return "–";
  if (unit === "share") return percent(value);
  if (unit === "ms") return duration(value);
  if (unit === "usd") return `$${value.toLocaleString("en-US", { maximumFractionDigits: 4 })}`;
  return count(value);
}
