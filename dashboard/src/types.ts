// The JSON of src/mmrouter/dashboard: money in nano-dollars, instants in Unix seconds, durations in ms.

export type Level = "simple" | "medium" | "complex";
export type Category = "factual" | "reasoning" | "creative" | "code";
export const LEVELS: readonly Level[] = ["simple", "medium", "complex"];
export const CATEGORIES: readonly Category[] = ["factual", "reasoning", "creative", "code"];
export const STATUSES = ["ok", "failed", "cancelled", "refused"] as const;
export type Status = (typeof STATUSES)[number];

export interface Meta {
  version: string;
  serving: boolean;
  baseline: string;
  stores_prompts: boolean;
  adaptive: boolean;
  timezone: string;
}

export interface Names {
  models: string[];
  keys: string[];
  tags: string[];
}

export interface Cell {
  start: number;
  model: string | null;
  requests: number;
  cost_nanos: number;
  unpriced: number;
  failed: number;
  fallbacks: number;
  tokens: number;
}

export interface Traffic {
  step_s: number;
  first: number | null;
  last: number | null;
  cells: Cell[];
}

export interface Percentiles {
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface ModelTimes {
  latency: Percentiles;
  ttft: Percentiles;
}

export interface Times {
  total: ModelTimes;
  models: Record<string, ModelTimes>;
  sampled: boolean;
}

export interface Part {
  requests: number;
  spent_nanos: number;
  baseline_nanos: number;
}

export interface Savings {
  baseline: string;
  unpriced: boolean;
  spent_nanos: number;
  baseline_nanos: number;
  saved_nanos: number;
  low_nanos: number;
  high_nanos: number;
  measured: Part;
  estimated: Part;
  guessed: Part;
  failed: Part;
  excluded: number;
}

export interface Limit {
  counter: string;
  title: string;
  scope: "all" | "key" | "tag";
  name: string;
  span: "day" | "month";
  ends: number;
  limit_nanos: number;
  settled_nanos: number;
  reserved_nanos: number | null;
  tier: "normal" | "warn" | "downgrade" | "cheapest";
}

export interface Budgets {
  enabled: boolean;
  timezone: string;
  warn: number;
  downgrade: number;
  at_limit: "cheapest" | "reject";
  today_nanos: number;
  month: {
    label: string;
    start: number;
    end: number;
    now: number;
    settled_nanos: number;
    unknown: number;
    forecast: { nanos: number; low: number | null; high: number | null; days: number } | null;
  };
  limits: Limit[];
}

export interface RequestRow {
  id: string;
  started: number;
  status: Status;
  cost_nanos: number | null;
  latency_ms: number;
  ttft_ms: number | null;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  attempts: number;
  rejected: number;
  escalated: boolean;
  budget_downgraded: boolean;
  adaptive_reranked: boolean;
  fallback_used: boolean;
  stream: boolean;
  complexity: Level | null;
  category: Category | null;
  answered_model: string | null;
  provider: string | null;
  key_name: string | null;
  tags: string[];
  surface: string;
  variant: string | null;
  session: string | null;
  error_class: string | null;
}

export interface Page {
  rows: RequestRow[];
  next: string | null;
}

export interface Attempt {
  ordinal: number;
  model: string;
  provider: string;
  upstream: string;
  role: string;
  status: "ok" | "failed" | "rejected" | "cancelled";
  cost_nanos: number | null;
  input_cost_nanos: number | null;
  output_cost_nanos: number | null;
  cache_read_cost_nanos: number | null;
  cache_write_cost_nanos: number | null;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  reasoning_tokens: number;
  estimated: boolean;
  started: number;
  latency_ms: number;
  ttft_ms: number | null;
  http_status: number | null;
  finish_reason: string | null;
  error_class: string | null;
  error: string | null;
  price_source: string | null;
  detail: string | null;
  bound_nanos: number | null;
}

export interface Story extends Omit<RequestRow, "attempts"> {
  attempts: Attempt[];
  feedback: { score: number; comment: string | null; source: string; created: number }[];
  judgements: {
    verdict: "win" | "tie" | "loss" | null;
    score: number | null;
    baseline_score: number | null;
    baseline_model: string;
    judge_model: string;
    detail: { fault?: string };
  }[];
  continuation: string | null;
  switch_nanos: number | null;
  switch_saving_nanos: number | null;
  reasons: string[];
  candidates: (BeliefRow & { cost_nanos: number | null })[];
  requested_model: string;
  wanted_model: string | null;
  dialect: string;
  confidence: number | null;
  difficulty: number | null;
  classifier: string | null;
  degraded: string | null;
  classifier_cost_nanos: number;
  overhead_ms: number;
  price_source: string | null;
  error: string | null;
  prompt: string | null;
  upstream_id: string | null;
}

export interface PriceTier {
  from_tokens: number;
  input: number;
  output: number;
  cache_read: number;
  cache_write: number;
  cache_write_1h: number | null;
  reasoning: number;
}

export interface Model {
  name: string;
  known: boolean;
  provider: string | null;
  kind?: string;
  upstream?: string;
  has_key?: boolean;
  key_env?: string | null;
  context_window?: number | null;
  max_output?: number | null;
  capabilities?: string[] | null;
  price: { source: string; tiers: PriceTier[] } | null;
  calls: number;
  cost_nanos: number;
  unpriced: number;
  failed: number;
  rejected: number;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  times: ModelTimes | null;
  feedback: { complexity: Level | null; category: Category | null; count: number; sum: number }[];
}

export interface Models {
  models: Model[];
  sampled: boolean;
  baseline: string;
}

export interface GridAnswer {
  complexity: Level | null;
  category: Category | null;
  model: string | null;
  requests: number;
  cost_nanos: number;
  latency_ms: number;
  failed: number;
  escalated: number;
}

export interface Grid {
  answers: GridAnswer[];
  routes: {
    complexity: Level;
    category: Category;
    model: string;
    fallbacks: string[];
    cascade: string[];
  }[];
  cascade: boolean;
}

export interface Label {
  complexity: Level;
  category: Category;
  confidence: number;
  difficulty: number;
  strategy: string;
  degraded: string | null;
}

export interface Trial {
  classification: Label | null;
  refused: string | null;
  reasons: string[];
  escalated?: boolean;
  wanted?: string | null;
  input_tokens?: number;
  candidates: {
    model: string;
    provider: string;
    role: string;
    gated: boolean;
    estimate_nanos: number | null;
    bound_nanos: number | null;
  }[];
}

export interface BreakerChange {
  id: number;
  at: number;
  provider: string;
  model: string | null;
  phase: "open" | "half_open" | "closed";
  cause: string | null;
}

export interface Quota {
  kind: "requests" | "tokens";
  left: number;
  limit: number | null;
  reset: number;
}

export interface RateLimit {
  model: string;
  provider: string;
  passed_over: string | null;
  paused_until: number | null;
  limits: Quota[];
}

export interface Breakers {
  known: boolean;
  threshold: number;
  reset_ms: number;
  open: string[];
  limits: RateLimit[];
  changes: BreakerChange[];
}

export interface BeliefRow {
  complexity: Level;
  category: Category;
  model: string;
  mean: number;
  interval90: [number, number];
  count: number;
  effective_count: number;
  last: number | null;
  configured: number | null;
  tried: number | null;
}

export interface Beliefs {
  enabled: boolean;
  strategy: string;
  min_feedback_count: number;
  beliefs: BeliefRow[];
}

export interface Rated {
  score: number;
  adaptive: boolean;
  before: BeliefRow[];
  beliefs: BeliefRow[];
}

export interface Quality {
  shadow: number;
  judged: number;
  unjudged: number;
  same: number;
  verdicts: { win: number; tie: number; loss: number };
  as_good: { share: number; low: number; high: number } | null;
  judging_nanos: number;
}

export interface Interval {
  count: number;
  mean: number | null;
  low: number | null;
  high: number | null;
}

export interface Against {
  value: number | null;
  low: number | null;
  high: number | null;
  decided: boolean;
  still_needed: number | null;
}

export type Metric = "cost_usd" | "latency_ms" | "error_rate" | "feedback" | "judge_score";

export interface VariantReport {
  name: string;
  share: number;
  source: string;
  halted: string | null;
  requests: number;
  units: number;
  failed: number;
  metrics: Record<Metric, Interval>;
  against_control: Record<Metric, Against> | null;
}

export interface ExperimentReport {
  name: string;
  running: boolean;
  created: number;
  stopped: number | null;
  reason: string | null;
  unit: string;
  guardrail_error_rate: number | null;
  variants: VariantReport[];
}

export interface Experiments {
  experiments: ExperimentReport[];
}

export interface AlertRule {
  rule: string;
  on: boolean;
  subject: string;
  value: number | null;
  threshold: number;
  unit: "share" | "ms" | "usd" | "count";
  firing: boolean;
  text: string;
}

export interface AlertStatus {
  enabled: boolean;
  rules: AlertRule[];
  up: { rule: string; subject: string; told: number }[];
  channels: string[];
  cooldown_s: number;
}

export interface AlertHistory {
  alerts: {
    id: number;
    at: number;
    rule: string;
    subject: string;
    kind: "raised" | "recovered" | "test";
    text: string;
    delivered: Record<string, string | null>;
  }[];
}
