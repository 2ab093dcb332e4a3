// Icons as paths: a font may lack the glyph.

const PATHS = {
  to: "M2 8h11M9 4l4 4-4 4",
  up: "M8 13V3M4 7l4-4 4 4",
  down: "M8 3v10M4 9l4 4 4-4",
  both: "M5 13V3M2 6l3-3 3 3M11 3v10M8 10l3 3 3-3",
  check: "M3 8.5 6.5 12 13 4.5",
  alert: "M8 2.5 14.5 13.5h-13zM8 6.5v3.5M8 11.7v.3",
  close: "M4 4l8 8M12 4l-8 8",
  good: "M2.5 7.5h2.5v6H2.5zM5 8l3-5.5c1.3 0 1.8 1 1.5 2.2L9 7h4c.8 0 1.2.7 1 1.4l-1.2 4.2c-.2.6-.6.9-1.2.9H5",
  bad: "M2.5 8.5h2.5v-6H2.5zM5 8l3 5.5c1.3 0 1.8-1 1.5-2.2L9 9h4c.8 0 1.2-.7 1-1.4l-1.2-4.2c-.2-.6-.6-.9-1.2-.9H5",
} as const;

export type IconName = keyof typeof PATHS;

/** Decoration beside words; where it stands alone, `label` says what it means. */
export function Icon({ name, label }: { name: IconName; label?: string }) {
  return (
    <>
      <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
        <path d={PATHS[name]} />
      </svg>
      {label && <span className="hidden">{label}</span>}
    </>
  );
}

/** "A to B", with an arrow for who sees it. */
export function To() {
  return (
    <>
      {" "}
      <Icon name="to" label="to" />{" "}
    </>
  );
}
