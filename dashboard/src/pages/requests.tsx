// Every request, however many: pages are fetched as they are scrolled to.

import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import {
  createColumnHelper,
  flexRender,
  getCoreRowModel,
  useReactTable,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { Link, useParams, useSearch, useSearchParams } from "wouter";
import { download, get } from "../api";
import { useFilters } from "../filters";
import { count, day, duration, exact, money, plural, seconds } from "../format";
import { Failure, Loading, NoRequests } from "../parts/states";
import { useData } from "../parts/data";
import { FilterBar } from "../parts/filterbar";
import { Icon, To } from "../parts/icon";
import { StatusMark } from "../parts/status";
import { StoryPanel } from "./story";
import type { Page, RequestRow } from "../types";

const ROW_HEIGHT = 44;
const PAGE = 100;
const SORTS: Record<string, string> = {
  started: "started",
  cost_nanos: "cost",
  latency_ms: "latency",
  tokens: "tokens",
};

const column = createColumnHelper<RequestRow>();

const columns = [
  column.accessor("started", {
    header: "Time",
    cell: ({ row }) => <ToStory row={row.original} />,
  }),
  column.accessor("status", {
    header: "Status",
    cell: ({ getValue }) => <StatusMark status={getValue()} />,
  }),
  column.accessor("answered_model", {
    header: "Model",
    cell: ({ row }) => (
      <>
        {row.original.answered_model ?? <span className="muted">nobody</span>}
        <Notes row={row.original} />
      </>
    ),
  }),
  column.accessor((row) => bucket(row), { id: "bucket", header: "Bucket" }),
  column.accessor("cost_nanos", { header: "Cost", cell: ({ getValue }) => money(getValue()) }),
  column.accessor("latency_ms", {
    header: "Time taken",
    cell: ({ row }) => (
      <>
        {duration(row.original.latency_ms)}
        {row.original.ttft_ms !== null && (
          <span className="muted small"> first {duration(row.original.ttft_ms)}</span>
        )}
      </>
    ),
  }),
  column.accessor((row) => row.input_tokens + row.output_tokens, {
    id: "tokens",
    header: "Tokens",
    cell: ({ row }) => (
      <>
        {count(row.original.input_tokens)}
        <To />
        {count(row.original.output_tokens)}
      </>
    ),
  }),
  column.accessor("key_name", { header: "Key", cell: ({ getValue }) => getValue() ?? "–" }),
  column.accessor((row) => row.tags.join(", "), { id: "tags", header: "Tags" }),
];

export default function Requests() {
  const { id } = useParams<{ id?: string }>();
  return (
    <>
      <FilterBar title="Requests" />
      <Table />
      {id && <StoryPanel id={id} />}
    </>
  );
}

function Table() {
  const filters = useFilters();
  const [params, setParams] = useSearchParams();
  const sort = params.get("sort") ?? "started";
  const order = params.get("order") ?? "desc";
  const path = `requests?${filters.query}&sort=${sort}&order=${order}&limit=${PAGE}`;
  const pages = useInfiniteQuery({
    queryKey: ["requests", path],
    queryFn: ({ pageParam, signal }) =>
      get<Page>(pageParam ? `${path}&after=${encodeURIComponent(pageParam)}` : path, signal),
    initialPageParam: "",
    getNextPageParam: (last: Page) => last.next,
    placeholderData: keepPreviousData,
    maxPages: 200,
  });
  const counted = useData<{ requests: number; cost_nanos: number }>(`count?${filters.query}`);
  const rows = useMemo(() => pages.data?.pages.flatMap((page) => page.rows) ?? [], [pages.data]);
  const table = useReactTable({ data: rows, columns, getCoreRowModel: getCoreRowModel() });
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length + (pages.hasNextPage ? 1 : 0),
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  });
  const shown = virtual.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = pages;
  useEffect(() => {
    if (last >= rows.length - 1 && hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [last, rows.length, hasNextPage, isFetchingNextPage, fetchNextPage]);

  if (pages.error && rows.length === 0)
    return <Failure error={pages.error} retry={() => void pages.refetch()} />;
  if (pages.isPending) return <Loading />;
  if (rows.length === 0)
    return (
      <div className="card">
        {filters.active > 0 ? (
          <div className="empty">
            <h2>Nothing matches these filters</h2>
            <button type="button" onClick={filters.clear}>
              Clear filters
            </button>
          </div>
        ) : (
          <NoRequests />
        )}
      </div>
    );
  const total = counted.data;
  const models = table.getRowModel().rows;
  return (
    <section className="card flush">
      <div className="table-head">
        <p aria-live="polite">
          {total ? `${plural(total.requests, "request")}, ${money(total.cost_nanos)}` : "Counting…"}
        </p>
        <Export query={filters.query} />
      </div>
      <div
        className="scroller"
        ref={scroller}
        role="table"
        aria-label="Requests"
        aria-rowcount={total?.requests ?? -1}
        tabIndex={0}
      >
        <div role="rowgroup">
          {table.getHeaderGroups().map((group) => (
            <div key={group.id} role="row" className="row head">
              {group.headers.map((header) => {
                const name = SORTS[header.column.id];
                const on = name === sort;
                const text = flexRender(header.column.columnDef.header, header.getContext());
                return (
                  <div
                    key={header.id}
                    role="columnheader"
                    className={`cell c-${header.column.id}`}
                    aria-sort={on ? (order === "asc" ? "ascending" : "descending") : undefined}
                  >
                    {name ? (
                      <button
                        type="button"
                        className="plain sort"
                        onClick={() =>
                          setParams((old) => {
                            const next = new URLSearchParams(old);
                            next.set("sort", name);
                            next.set("order", on && order === "desc" ? "asc" : "desc");
                            return next;
                          })
                        }
                      >
                        {text} <Icon name={on ? (order === "asc" ? "up" : "down") : "both"} />
                      </button>
                    ) : (
                      text
                    )}
                  </div>
                );
              })}
            </div>
          ))}
        </div>
        <div role="rowgroup" className="rows" style={{ height: virtual.getTotalSize() }}>
          {shown.map((item) => {
            const row = models[item.index];
            const style = { height: item.size, transform: `translateY(${item.start}px)` };
            if (row === undefined)
              return (
                <div key="more" role="row" className="row at muted" style={style}>
                  <div role="cell" className="cell">
                    Loading more…
                  </div>
                </div>
              );
            return (
              <div
                key={row.id}
                role="row"
                aria-rowindex={item.index + 2}
                className="row at"
                style={style}
              >
                {row.getVisibleCells().map((cell) => (
                  <div key={cell.id} role="cell" className={`cell c-${cell.column.id}`}>
                    {flexRender(cell.column.columnDef.cell, cell.getContext())}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </section>
  );
}

function ToStory({ row }: { row: RequestRow }) {
  const search = useSearch();
  return (
    <Link
      href={`/requests/${row.id}${search ? `?${search}` : ""}`}
      className="to-story"
      title={exact(row.started)}
    >
      {day(row.started)}
      <span className="seconds">{seconds(row.started)}</span>
    </Link>
  );
}

function Notes({ row }: { row: RequestRow }) {
  const notes = [
    row.fallback_used && "fallback",
    row.escalated && "escalated",
    row.budget_downgraded && "budget",
    row.adaptive_reranked && "feedback",
    row.rejected > 0 && "cascade",
  ].filter(Boolean);
  return (
    <>
      {notes.map((note) => (
        <span key={String(note)} className="note warn">
          {note}
        </span>
      ))}
      {row.variant && <span className="note">{row.variant}</span>}
    </>
  );
}

function Export({ query }: { query: string }) {
  const [busy, setBusy] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const save = async (form: string) => {
    setBusy(form);
    setError(null);
    try {
      await download(`export/${form}?${query}`, `mmrouter-requests.${form}`);
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
    } finally {
      setBusy(null);
    }
  };
  return (
    <div className="export">
      {error && (
        <span className="bad" role="alert">
          {error}
        </span>
      )}
      {(["csv", "parquet"] as const).map((form) => (
        <button key={form} type="button" disabled={busy !== null} onClick={() => void save(form)}>
          {busy === form ? "Writing…" : form === "csv" ? "CSV" : "Parquet"}
        </button>
      ))}
    </div>
  );
}

function bucket(row: RequestRow): string {
  return row.complexity && row.category ? `${row.complexity}/${row.category}` : "named";
}
