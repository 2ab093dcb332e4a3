// The frame: who may look, where to go, what is shown.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, lazy, useState } from "react";
import { Link, Route, Switch, useLocation, useSearch } from "wouter";
import { ApiError, forgetKey, get, hasKey, setKey } from "./api";
import { useLive } from "./live";
import { Failure, Loading } from "./parts/states";
import { THEMES, useTheme, type Theme } from "./theme";
import type { Meta } from "./types";

const PAGES = [
  ["/", "Overview", lazy(() => import("./pages/overview"))],
  ["/requests", "Requests", lazy(() => import("./pages/requests"))],
  ["/models", "Models", lazy(() => import("./pages/models"))],
  ["/routing", "Routing", lazy(() => import("./pages/routing"))],
  ["/experiments", "Experiments", lazy(() => import("./pages/experiments"))],
  ["/budgets", "Budgets", lazy(() => import("./pages/budgets"))],
  ["/alerts", "Alerts", lazy(() => import("./pages/alerts"))],
] as const;

export function useMeta() {
  return useQuery({
    queryKey: ["meta"],
    queryFn: ({ signal }) => get<Meta>("meta", signal),
    staleTime: Infinity,
  });
}

export function App() {
  const meta = useMeta();
  if (meta.error instanceof ApiError && [401, 403].includes(meta.error.status))
    return <KeyGate refusal={meta.error} />;
  if (meta.error) {
    return (
      <main className="alone">
        <Failure error={meta.error} retry={() => void meta.refetch()} />
      </main>
    );
  }
  if (!meta.data) return <Loading />;
  return <Frame meta={meta.data} />;
}

function Frame({ meta }: { meta: Meta }) {
  const pulse = useLive();
  const [location] = useLocation();
  const search = useSearch();
  return (
    <div className="frame">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="side">
        <div className="brand">
          <Mark /> mmrouter
        </div>
        <nav aria-label="Pages">
          {PAGES.map(([path, title]) => {
            const here = path === "/" ? location === "/" : location.startsWith(path);
            return (
              <Link
                key={path}
                href={search ? `${path}?${search}` : path}
                aria-current={here ? "page" : undefined}
              >
                {title}
              </Link>
            );
          })}
        </nav>
        <div className="foot">
          <span className={`pulse ${pulse}`} role="status">
            {pulse === "live" ? "Live" : "Connecting…"}
          </span>
          <ThemeChoice />
          {hasKey() && (
            <button
              type="button"
              className="plain"
              onClick={() => {
                forgetKey();
                window.location.reload();
              }}
            >
              Forget my key
            </button>
          )}
          <span className="muted version">v{meta.version}</span>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Suspense fallback={<Loading />}>
          <Switch>
            {PAGES.map(([path, , Page]) => (
              <Route key={path} path={path === "/requests" ? "/requests/:id?" : path}>
                <Page />
              </Route>
            ))}
            <Route>
              <h1>No such page</h1>
              <Link href="/">To the overview</Link>
            </Route>
          </Switch>
        </Suspense>
      </main>
    </div>
  );
}

function KeyGate({ refusal }: { refusal: ApiError }) {
  const client = useQueryClient();
  const [key, change] = useState("");
  const foreign = refusal.status === 403 && !hasKey(); // another Host or Origin: no key helps
  return (
    <main className="alone">
      <form
        className="card gate"
        onSubmit={(event) => {
          event.preventDefault();
          setKey(key.trim());
          void client.resetQueries();
        }}
      >
        <h1>
          <Mark /> mmrouter
        </h1>
        <p>
          This dashboard shows everybody&apos;s requests, so it asks for an admin key: the
          server&apos;s <code>MMROUTER_API_KEY</code>, or one that{" "}
          <code>mmrouter keys create NAME --admin</code> made.
        </p>
        <label>
          Admin key
          <input
            type="password"
            autoComplete="off"
            required
            value={key}
            onChange={(event) => change(event.target.value)}
          />
        </label>
        {(hasKey() || foreign) && (
          <p className="bad" role="alert">
            {refusal.status === 401 ? "The server does not know this key." : refusal.message}
          </p>
        )}
        <button type="submit" className="primary">
          Open the dashboard
        </button>
        <p className="muted">It is kept in this tab alone, until you close it.</p>
      </form>
    </main>
  );
}

function ThemeChoice() {
  const [theme, setTheme] = useTheme();
  return (
    <label className="theme">
      <span className="hidden">Theme</span>
      <select value={theme} onChange={(event) => setTheme(event.target.value as Theme)}>
        {THEMES.map((name) => (
          <option key={name} value={name}>
            {name === "system" ? "Theme: system" : name === "light" ? "Light" : "Dark"}
          </option>
        ))}
      </select>
    </label>
  );
}

function Mark() {
  return (
    <svg viewBox="0 0 32 32" className="mark" aria-hidden="true">
      <rect width="32" height="32" rx="7" />
      <path d="M6 16h7M13 16l8-7h5M13 16h13M13 16l8 7h5" />
    </svg>
  );
}
