/** The colour of the n-th series. */
export function colour(index: number): string {
  return `var(--s${(index % 8) + 1})`;
}
