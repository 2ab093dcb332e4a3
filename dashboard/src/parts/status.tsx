const TONES: Record<string, string> = {
  ok: "good",
  failed: "bad",
  refused: "bad",
  cancelled: "warn",
  rejected: "warn",
};

export function StatusMark({ status }: { status: string }) {
  return <span className={`mark-status ${TONES[status] ?? ""}`}>{status}</span>;
}
