// What scores say of a model: a Beta posterior, its mean and its middle 90 %.

export interface Belief {
  mean: number;
  low: number;
  high: number;
}

/** From `count` scores in 0..1 that add up to `sum`, starting from no opinion. */
export function belief(sum: number, count: number): Belief {
  const good = 1 + sum;
  const bad = 1 + count - sum;
  return { mean: good / (good + bad), low: quantile(0.05, good, bad), high: quantile(0.95, good, bad) };
}

const STEPS = 2000;

/** By summing the density: a page draws a handful of these, to the pixel. */
function quantile(share: number, a: number, b: number): number {
  const peak = (a - 1) / Math.max(1e-9, a + b - 2);
  const log = (x: number) => (a - 1) * Math.log(x) + (b - 1) * Math.log(1 - x);
  const top = log(Math.min(1 - 1e-6, Math.max(1e-6, peak)));
  const density = Array.from({ length: STEPS }, (_, i) => Math.exp(log((i + 0.5) / STEPS) - top));
  const goal = share * density.reduce((sum, value) => sum + value, 0);
  let reached = 0;
  for (const [index, value] of density.entries()) {
    reached += value;
    if (reached >= goal) return (index + 0.5) / STEPS;
  }
  return 1;
}
