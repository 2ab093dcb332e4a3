// Who is told when something goes wrong?

import { duration } from "../format";
import { Data, useData } from "../parts/data";
import { Empty } from "../parts/states";
import type { AlertSettings } from "../types";

const EXAMPLE = `alerts:
  enabled: true
  webhook_url: https://hooks.example.com/...
  rules: [cost_spike, error_rate, budget_warning]`;

export default function Alerts() {
  const alerts = useData<AlertSettings>("alerts");
  return (
    <>
      <div className="bar">
        <h1>Alerts</h1>
      </div>
      <Data query={alerts}>
        {(data) =>
          data.enabled ? (
            <div className="card">
              <h2>Rules in force</h2>
              <ul>
                {data.rules.map((rule) => (
                  <li key={rule}>{rule.replaceAll("_", " ")}</li>
                ))}
              </ul>
              <p className="muted">
                {data.webhook ? "Sent to a webhook" : "Written to the log: no webhook_url is set"}; the
                same rule is quiet for {duration(data.cooldown_s * 1000)} after it spoke.
              </p>
            </div>
          ) : (
            <div className="card">
              <Empty title="Alerts are off">
                <p>Turn them on in the config, to hear of trouble before the bill does:</p>
                <pre>{EXAMPLE}</pre>
              </Empty>
            </div>
          )
        }
      </Data>
    </>
  );
}
