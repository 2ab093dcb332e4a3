// Figures as people read them; times in the viewer's zone.

const NANOS = 1e9;

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export function money(nanos: number | null | undefined): string {
  if (nanos === null || nanos === undefined) return "unknown";
  const usd = nanos / NANOS;
  const size = Math.abs(usd);
  if (size === 0) return "$0";
  const digits = size >= 1 ? 2 : Math.min(9, Math.max(2, 2 - Math.floor(Math.log10(size))));
  const text = size.toLocaleString("en-US", {
    minimumFractionDigits: Math.min(digits, 2),
    maximumFractionDigits: digits,
  });
  return `${usd < 0 ? "−" : ""}$${text}`;
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

export function short(value: number): string {
  return value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 1 });
}

export function percent(share: number | null, digits = 1): string {
  if (share === null || !Number.isFinite(share)) return "–";
  return `${(share * 100).toFixed(digits)}%`;
}

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1) return "<1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  if (ms < 3_600_000) {
    const rest = Math.round((ms % 60_000) / 1000);
    return `${Math.floor(ms / 60_000)} min${rest > 0 ? ` ${rest} s` : ""}`;
  }
  if (ms < 172_800_000) return `${(ms / 3_600_000).toFixed(1)} h`;
  return `${(ms / 86_400_000).toFixed(1)} days`;
}

export function time(seconds: number): string {
  return new Date(seconds * 1000).toLocaleString(undefined, {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  });
}

/** The day and the minute. */
export function day(at: number): string {
  return new Date(at * 1000).toLocaleString(undefined, {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
}

/** The rest of it: ":07". */
export function seconds(at: number): string {
  return `:${String(Math.floor(at) % 60).padStart(2, "0")}`;
}

export function exact(seconds: number): string {
  return new Date(seconds * 1000).toLocaleString(undefined, {
    dateStyle: "full",
    timeStyle: "long",
  });
}

export function tick(seconds: number, step: number): string {
  const at = new Date(seconds * 1000);
  if (step >= 86_400) return at.toLocaleDateString(undefined, { month: "short", day: "numeric" });
  if (step >= 10_800)
    return at.toLocaleString(undefined, { month: "short", day: "numeric", hour: "2-digit" });
  return at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
