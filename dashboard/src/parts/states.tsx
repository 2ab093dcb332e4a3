// What stands in for data: it is coming, it failed, there is none.

import type { ReactNode } from "react";

export function Loading() {
  return (
    <p className="muted loading" role="status">
      Loading…
    </p>
  );
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div className="card empty" role="alert">
      <h2>This could not be loaded</h2>
      <p>{error instanceof Error ? error.message : "The server did not answer."}</p>
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function NoRequests() {
  return (
    <Empty title="No requests in this view">
      <p>Send one, or look at a longer time:</p>
      <pre>mmrouter route &quot;What is the capital of France?&quot;</pre>
      <p>
        or point a client at <code>mmrouter serve</code>. <code>mmrouter demo</code> shows a day of
        made-up traffic.
      </p>
    </Empty>
  );
}
