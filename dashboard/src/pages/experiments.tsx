// Which of two configs is better?

import { count, duration, money, percent } from "../format";
import { Data, useData } from "../parts/data";
import { FilterBar } from "../parts/filterbar";
import { Empty } from "../parts/states";
import { useFilters } from "../filters";
import type { Variants } from "../types";

export default function Experiments() {
  const { query } = useFilters();
  const variants = useData<Variants>(`variants?${query}`);
  return (
    <>
      <FilterBar title="Experiments" />
      <Data query={variants}>
        {({ variants: rows }) =>
          rows.length === 0 ? (
            <div className="card">
              <Empty title="No experiment has had requests in this view">
                <p>
                  An experiment sends a share of the conversations by another config and compares
                  cost, waiting times, errors and feedback.
                </p>
              </Empty>
            </div>
          ) : (
            <div className="card wide" tabIndex={0} role="region" aria-label="Variants">
              <table className="plain-table">
                <thead>
                  <tr>
                    <th scope="col">Variant</th>
                    <th scope="col">Requests</th>
                    <th scope="col">Cost of one</th>
                    <th scope="col">Failed</th>
                    <th scope="col">Time taken, mean</th>
                  </tr>
                </thead>
                <tbody>
                  {rows.map((row) => (
                    <tr key={row.name}>
                      <th scope="row">{row.name}</th>
                      <td>{count(row.requests)}</td>
                      <td>{money(row.cost_nanos / row.requests)}</td>
                      <td>{percent(row.failed / row.requests)}</td>
                      <td>{duration(row.latency_ms / row.requests)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Data>
    </>
  );
}
