// What the viewer looks at lives in the address, so that a link shows another person the same.

import { useMemo, useSyncExternalStore } from "react";
import { useSearchParams } from "wouter";
import { zone } from "./format";

export const RANGES = {
  "1h": ["Last hour", 3600],
  "24h": ["Last 24 hours", 86_400],
  "7d": ["Last 7 days", 7 * 86_400],
  "30d": ["Last 30 days", 30 * 86_400],
  "90d": ["Last 90 days", 90 * 86_400],
  all: ["All time", null],
} as const;

export type Range = keyof typeof RANGES;
export const DEFAULT_RANGE: Range = "24h";

export const FIELDS = [
  "model",
  "key",
  "tag",
  "session",
  "complexity",
  "category",
  "status",
  "min_cost",
  "max_cost",
] as const;
export type Field = (typeof FIELDS)[number];

export interface Filters {
  range: Range | "custom";
  since: string | null;
  until: string | null;
  values: Partial<Record<Field, string>>;
  /** The query string of an API call for these filters. */
  query: string;
  active: number;
  set(changes: Record<string, string | null>): void;
  clear(): void;
}

const MINUTE = 60;
let minute = Math.floor(Date.now() / 1000 / MINUTE) * MINUTE;
const watchers = new Set<() => void>();
setInterval(() => {
  const now = Math.floor(Date.now() / 1000 / MINUTE) * MINUTE;
  if (now !== minute) {
    minute = now;
    for (const watcher of watchers) watcher();
  }
}, 1000);

function subscribe(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** The present minute's first second: ranges move once a minute, so that answers can be shared. */
export function useMinute(): number {
  return useSyncExternalStore(subscribe, () => minute);
}

export function useFilters(): Filters {
  const [params, setParams] = useSearchParams();
  const now = useMinute();
  const text = params.toString();
  return useMemo(() => {
    const found = new URLSearchParams(text);
    const named = found.get("range") as Range | null;
    const since = found.get("since");
    const until = found.get("until");
    const custom = since !== null || until !== null;
    const range = named !== null && named in RANGES ? named : DEFAULT_RANGE;
    const values: Partial<Record<Field, string>> = {};
    const query = new URLSearchParams({ zone });
    for (const field of FIELDS) {
      const value = found.get(field);
      if (value) {
        values[field] = value;
        query.set(field, value);
      }
    }
    const back = RANGES[range][1];
    if (custom) {
      if (since) query.set("since", since);
      if (until) query.set("until", until);
    } else if (back !== null) {
      query.set("since", String(now - back));
    }
    return {
      range: custom ? "custom" : range,
      since,
      until,
      values,
      query: query.toString(),
      active: Object.keys(values).length,
      set(changes) {
        setParams((old) => {
          const next = new URLSearchParams(old);
          for (const [name, value] of Object.entries(changes)) {
            if (value === null || value === "") next.delete(name);
            else next.set(name, value);
          }
          return next;
        });
      },
      clear() {
        setParams((old) => {
          const next = new URLSearchParams(old);
          for (const field of FIELDS) next.delete(field);
          return next;
        });
      },
    };
  }, [text, now, setParams]);
}
