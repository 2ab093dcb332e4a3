// Time and filters, the same on every page.

import { useState } from "react";
import { FIELDS, RANGES, useFilters, type Field } from "../filters";
import { CATEGORIES, LEVELS, STATUSES, type Names } from "../types";
import { useData } from "./data";
import { Icon } from "./icon";

const TITLES: Record<Field, string> = {
  model: "Model",
  key: "Key",
  tag: "Tag",
  session: "Session",
  complexity: "Complexity",
  category: "Category",
  status: "Status",
  min_cost: "Cost from, $",
  max_cost: "Cost to, $",
};

export function FilterBar({ title }: { title: string }) {
  const filters = useFilters();
  const [open, setOpen] = useState(false);
  return (
    <div className="bar">
      <h1>{title}</h1>
      <div className="bar-tools">
        <label>
          <span className="hidden">Time</span>
          <select
            value={filters.range}
            onChange={(event) => {
              const range = event.target.value;
              if (range === "custom") {
                const day = Math.floor(Date.now() / 1000) - 86_400;
                filters.set({ range: null, since: String(day) });
                setOpen(true);
              } else {
                filters.set({ range, since: null, until: null });
              }
            }}
          >
            {Object.entries(RANGES).map(([range, [name]]) => (
              <option key={range} value={range}>
                {name}
              </option>
            ))}
            <option value="custom">From … to …</option>
          </select>
        </label>
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          Filters{filters.active > 0 ? ` (${filters.active})` : ""}
        </button>
      </div>
      {open && <Fields />}
      {!open && filters.active > 0 && <Chips />}
    </div>
  );
}

function Fields() {
  const filters = useFilters();
  const names = useData<Names>("names").data;
  const choices: Partial<Record<Field, readonly string[]>> = {
    model: names?.models ?? [],
    key: names?.keys ?? [],
    tag: names?.tags ?? [],
    complexity: LEVELS,
    category: CATEGORIES,
    status: STATUSES,
  };
  return (
    <form className="fields card" onSubmit={(event) => event.preventDefault()}>
      {FIELDS.map((field) => {
        const listed = choices[field];
        const value = filters.values[field] ?? "";
        return (
          <label key={field}>
            {TITLES[field]}
            {listed ? (
              <select value={value} onChange={(e) => filters.set({ [field]: e.target.value })}>
                <option value="">any</option>
                {[...new Set(value ? [value, ...listed] : listed)].map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            ) : (
              <Typed field={field} value={value} />
            )}
          </label>
        );
      })}
      {filters.range === "custom" &&
        (["since", "until"] as const).map((end) => (
          <label key={end}>
            {end === "since" ? "From" : "To"}
            <input
              type="datetime-local"
              value={local(filters[end])}
              onChange={(event) => {
                const at = new Date(event.target.value).getTime() / 1000;
                filters.set({ [end]: Number.isFinite(at) ? String(at) : null });
              }}
            />
          </label>
        ))}
      <button type="button" onClick={filters.clear} disabled={filters.active === 0}>
        Clear filters
      </button>
    </form>
  );
}

/** A field that counts when it is left or Enter is pressed, not with every letter. */
function Typed({ field, value }: { field: Field; value: string }) {
  const { set } = useFilters();
  const [text, change] = useState(value);
  const money = field.endsWith("_cost");
  const settle = () => {
    if (text !== value) set({ [field]: text });
  };
  return (
    <input
      type={money ? "number" : "text"}
      {...(money ? { min: 0, step: "any", inputMode: "decimal" as const } : {})}
      value={text}
      onChange={(event) => change(event.target.value)}
      onBlur={settle}
      onKeyDown={(event) => {
        if (event.key === "Enter") settle();
      }}
    />
  );
}

function Chips() {
  const { values, set } = useFilters();
  return (
    <ul className="chips" aria-label="Filters in force">
      {Object.entries(values).map(([field, value]) => (
        <li key={field}>
          <button
            type="button"
            className="chip"
            aria-label={`Remove filter ${TITLES[field as Field]} ${value}`}
            onClick={() => set({ [field]: null })}
          >
            {TITLES[field as Field]}: {value} <Icon name="close" />
          </button>
        </li>
      ))}
    </ul>
  );
}

function local(seconds: string | null): string {
  if (seconds === null) return "";
  const at = new Date(Number(seconds) * 1000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
