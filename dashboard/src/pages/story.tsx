// One request: what was asked, what was decided and why, what was called, what it cost.

import * as Dialog from "@radix-ui/react-dialog";
import type { ReactNode } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { count, duration, exact, money, percent } from "../format";
import { Data, useData } from "../parts/data";
import { Icon } from "../parts/icon";
import { StatusMark } from "../parts/status";
import { Believed } from "../parts/believed";
import { Rating } from "./rating";
import type { Attempt, Story } from "../types";

export function StoryPanel({ id }: { id: string }) {
  const [, go] = useLocation();
  const search = useSearch();
  const story = useData<Story>(`request/${encodeURIComponent(id)}`);
  const close = () => go(`/requests${search ? `?${search}` : ""}`);
  return (
    <Dialog.Root open onOpenChange={(open) => !open && close()}>
      <Dialog.Portal>
        {/* Radix's own overlay writes a <style> element, which the page's policy forbids */}
        <div className="veil" />
        <Dialog.Content className="drawer" aria-describedby={undefined}>
          <div className="drawer-head">
            <Dialog.Title>Request</Dialog.Title>
            <Dialog.Close className="plain close" aria-label="Close">
              <Icon name="close" />
            </Dialog.Close>
          </div>
          <Data query={story}>{(data) => <Whole story={data} />}</Data>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Whole({ story }: { story: Story }) {
  return (
    <>
      <p className="small">
        <code>{story.id}</code>
      </p>
      <Facts
        rows={[
          ["Ended", <StatusMark key="s" status={story.status} />],
          ["When", exact(story.started)],
          ["Cost", money(story.cost_nanos)],
          ["Took", duration(story.latency_ms)],
          ["First token", duration(story.ttft_ms)],
          ["Our part of it", duration(story.overhead_ms)],
          ["Came by", `${story.surface}${story.stream ? ", streamed" : ""}`],
          ["Key", story.key_name],
          ["Tags", story.tags.join(", ") || null],
          ["Session", story.session && <Conversation key="c" session={story.session} />],
          ["Experiment", story.variant],
        ]}
      />
      {story.error && (
        <p className="bad">
          {story.error_class}: {story.error}
        </p>
      )}
      {story.prompt !== null && (
        <Section title="What was asked">
          <pre className="prompt">{story.prompt}</pre>
        </Section>
      )}
      <Section title="How hard it was judged">
        {story.complexity ? (
          <Facts
            rows={[
              ["Bucket", `${story.complexity}/${story.category}`],
              ["Confidence", percent(story.confidence, 0)],
              ["Chance that a weak model fails", percent(story.difficulty, 0)],
              ["By", story.classifier],
              ["Cost", money(story.classifier_cost_nanos)],
              ["Not as set up", story.degraded],
            ]}
          />
        ) : (
          <p>It was not judged: the caller named {story.requested_model}.</p>
        )}
      </Section>
      <Section title="Why this model">
        <ol className="reasons">
          {story.reasons.map((reason, index) => (
            <li key={index}>{reason}</li>
          ))}
        </ol>
        {story.wanted_model && story.wanted_model !== story.answered_model && (
          <p>
            Its route names {story.wanted_model};{" "}
            {story.answered_model ? `${story.answered_model} answered.` : "nobody answered."}
          </p>
        )}
      </Section>
      {story.candidates.length > 0 && (
        <Section title="Who could answer such a prompt">
          <Candidates story={story} />
        </Section>
      )}
      {story.continuation && (
        <Section title="The conversation so far">
          <Facts
            rows={[
              ["It", CONTINUED[story.continuation] ?? story.continuation],
              ["Leaving its model costs", story.switch_nanos === null ? null : money(story.switch_nanos)],
              [
                "The other one saves",
                story.switch_saving_nanos === null ? null : money(story.switch_saving_nanos),
              ],
            ]}
          />
        </Section>
      )}
      <Section title={`Calls (${story.attempts.length})`}>
        {story.attempts.length === 0 ? (
          <p>Nobody was called.</p>
        ) : (
          <ol className="attempts">
            {story.attempts.map((attempt) => (
              <Call key={attempt.ordinal} attempt={attempt} story={story} />
            ))}
          </ol>
        )}
      </Section>
      <Section title="What it cost">
        <Bill story={story} />
      </Section>
      <Section title="Was the answer good?">
        <Rating story={story} />
        <ul className="small">
          {story.judgements.map((one, index) => (
            <li key={index}>
              {one.judge_model}, against {one.baseline_model}:{" "}
              {one.verdict ? VERDICTS[one.verdict] : `not judged, ${one.detail.fault ?? ""}`}
              {one.score !== null &&
                ` (${percent(one.score, 0)}, the baseline ${percent(one.baseline_score, 0)})`}
            </li>
          ))}
        </ul>
      </Section>
    </>
  );
}

function Candidates({ story }: { story: Story }) {
  return (
    <>
      <div className="wide">
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col">As many tokens</th>
              <th scope="col" className="left">
                Good answers: 90% sure
              </th>
            </tr>
          </thead>
          <tbody>
            {story.candidates.map((row, index) => (
              <tr key={row.model}>
                <th scope="row">
                  {index + 1}. {row.model}
                  {row.model === story.answered_model && <span className="note">answered</span>}
                </th>
                <td>{row.cost_nanos === null ? "–" : money(row.cost_nanos)}</td>
                <td>
                  <Believed row={row} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="small muted">
        The route of {story.complexity}/{story.category} as it is now, and what is believed of it
        now; prices without cached tokens.
      </p>
    </>
  );
}

const CONTINUED: Record<string, string> = {
  same: "goes on with its model, which the route names too",
  tied: "is tied to who can read its history",
  pinned: "stays with the model that asked for this tool",
  stayed: "stays: a switch costs more than it saves",
  switched: "moves: a switch saves more than it costs, or the turn is harder",
};

const VERDICTS = { win: "better", tie: "as good", loss: "worse" } as const;

function Conversation({ session }: { session: string }) {
  const search = new URLSearchParams(useSearch());
  search.set("session", session);
  return <Link href={`/requests?${search}`}>{session}</Link>;
}

function Call({ attempt, story }: { attempt: Attempt; story: Story }) {
  const whole = Math.max(1, story.latency_ms);
  const from = Math.max(0, (attempt.started - story.started) * 1000);
  const x = Math.min(99, (from / whole) * 100);
  const width = Math.max(0.6, Math.min(100 - x, (attempt.latency_ms / whole) * 100));
  const first = attempt.ttft_ms === null ? null : Math.min(width, (attempt.ttft_ms / whole) * 100);
  return (
    <li>
      <div className="call-head">
        <strong>{attempt.model}</strong> <span className="muted">{attempt.role}</span>
        <StatusMark status={attempt.status} />
        <span className="right">{money(attempt.cost_nanos)}</span>
      </div>
      <svg
        className={`timing ${attempt.status}`}
        viewBox="0 0 100 8"
        preserveAspectRatio="none"
        role="img"
        aria-label={`began after ${duration(from)}, took ${duration(attempt.latency_ms)}, first token after ${duration(attempt.ttft_ms)}`}
      >
        <rect className="track" width="100" height="8" />
        <rect className="value" x={x} width={width} height="8" />
        {first !== null && <rect className="wait" x={x} width={first} height="8" />}
      </svg>
      <p className="small muted">
        {attempt.provider}
        {attempt.upstream !== attempt.model && ` as ${attempt.upstream}`} ·{" "}
        {duration(attempt.latency_ms)}
        {attempt.ttft_ms !== null && `, first token ${duration(attempt.ttft_ms)}`}
        {attempt.http_status !== null && ` · HTTP ${attempt.http_status}`}
        {attempt.finish_reason && ` · ${attempt.finish_reason}`}
      </p>
      {attempt.error && (
        <p className="bad small">
          {attempt.error_class}: {attempt.error}
        </p>
      )}
      {attempt.detail && <p className="small">{attempt.detail}</p>}
    </li>
  );
}

function Bill({ story }: { story: Story }) {
  const bound = setAside(story);
  return (
    <div className="wide">
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">For</th>
            <th scope="col">Tokens</th>
            <th scope="col">Cost</th>
          </tr>
        </thead>
        <tbody>
          {story.attempts.map((attempt) => (
            <Lines key={attempt.ordinal} attempt={attempt} />
          ))}
          {story.classifier_cost_nanos > 0 && (
            <tr>
              <th scope="row">Classifying</th>
              <td />
              <td>{money(story.classifier_cost_nanos)}</td>
            </tr>
          )}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">Settled</th>
            <td />
            <td>{money(story.cost_nanos)}</td>
          </tr>
          {bound > 0 && (
            <tr className="set-aside">
              <th scope="row">The most it could cost, which a budget sets aside</th>
              <td />
              <td>{money(bound)}</td>
            </tr>
          )}
        </tfoot>
      </table>
      {story.price_source && <p className="small muted">Prices from {story.price_source}.</p>}
    </div>
  );
}

/** The largest sum that was held for the request: what its calls had cost, and the next one's bound. */
function setAside({ attempts }: Story): number {
  let spent = 0;
  let most = 0;
  for (const attempt of attempts) {
    if (attempt.bound_nanos !== null) most = Math.max(most, spent + attempt.bound_nanos);
    spent += attempt.cost_nanos ?? 0;
  }
  return most;
}

function Lines({ attempt }: { attempt: Attempt }) {
  const lines: [string, number, number | null][] = [
    ["prompt", attempt.input_tokens, attempt.input_cost_nanos],
    ["prompt, from the cache", attempt.cache_read_tokens, attempt.cache_read_cost_nanos],
    ["prompt, into the cache", attempt.cache_write_tokens, attempt.cache_write_cost_nanos],
    ["answer", attempt.output_tokens, attempt.output_cost_nanos],
  ];
  return lines
    .filter(([, tokens]) => tokens > 0)
    .map(([name, tokens, cost]) => (
      <tr key={name}>
        <th scope="row">
          {attempt.model}: {name}
        </th>
        <td>
          {attempt.estimated && "about "}
          {count(tokens)}
        </td>
        <td>{money(cost)}</td>
      </tr>
    ));
}

export function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="section">
      <h3>{title}</h3>
      {children}
    </section>
  );
}

export function Facts({ rows }: { rows: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {rows
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
