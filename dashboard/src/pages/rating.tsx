// A viewer's word on an answer, and what it changes.

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { post } from "../api";
import { exact, percent, plural } from "../format";
import { Icon } from "../parts/icon";
import { Interval } from "../parts/interval";
import type { BeliefRow, Rated, Story } from "../types";

interface Said {
  score: number;
  comment?: string;
}

export function Rating({ story }: { story: Story }) {
  const client = useQueryClient();
  const rate = useMutation({
    mutationFn: (said: Said) => post<Rated>(`feedback/${encodeURIComponent(story.id)}`, said),
    onSuccess: () => client.invalidateQueries(),
  });
  const last = story.feedback.at(-1)?.score;
  return (
    <>
      <div className="thumbs" role="group" aria-label="Was the answer good?">
        <button
          type="button"
          aria-pressed={last === 1}
          disabled={rate.isPending}
          onClick={() => rate.mutate({ score: 1 })}
        >
          <Icon name="good" /> Good
        </button>
        <button
          type="button"
          aria-pressed={last === 0}
          disabled={rate.isPending}
          onClick={() => rate.mutate({ score: 0 })}
        >
          <Icon name="bad" /> Bad
        </button>
      </div>
      <InBetween busy={rate.isPending} say={rate.mutate} />
      {rate.error && (
        <p className="bad" role="alert">
          {rate.error.message}
        </p>
      )}
      <div aria-live="polite">{rate.data && <Change rated={rate.data} story={story} />}</div>
      <ul className="small">
        {story.feedback.map((note, index) => (
          <li key={index}>
            {percent(note.score, 0)} by {note.source}, {exact(note.created)}
            {note.comment && `: ${note.comment}`}
          </li>
        ))}
      </ul>
    </>
  );
}

/** A score between bad and good, and a comment. */
function InBetween({ busy, say }: { busy: boolean; say: (said: Said) => void }) {
  const [score, setScore] = useState(50);
  const [comment, setComment] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const words = comment.trim();
    say({ score: score / 100, ...(words ? { comment: words } : {}) });
    setComment("");
  };
  return (
    <details>
      <summary>Something between, or a comment</summary>
      <form className="between" onSubmit={submit}>
        <label>
          How good: {score}%
          <input
            type="range"
            min="0"
            max="100"
            step="5"
            value={score}
            onChange={(event) => setScore(Number(event.target.value))}
          />
        </label>
        <label>
          Comment
          <textarea
            rows={2}
            maxLength={4000}
            value={comment}
            placeholder="What was wrong with it, or right"
            onChange={(event) => setComment(event.target.value)}
          />
        </label>
        <button type="submit" disabled={busy}>
          Save
        </button>
      </form>
    </details>
  );
}

/** How the belief in the model changed, in words and drawn. */
function Change({ rated, story }: { rated: Rated; story: Story }) {
  const of = (rows: BeliefRow[]) => rows.find((row) => row.model === story.answered_model);
  const before = of(rated.before);
  const after = of(rated.beliefs);
  if (!before || !after)
    return (
      <p className="change">
        Saved. It changes no belief:{" "}
        {story.answered_model
          ? "the request was not classified, so it says nothing of a kind of prompt."
          : "nobody answered."}
      </p>
    );
  return (
    <div className="change">
      <p>
        Saved. Good answers that <strong>{after.model}</strong> is believed to give to{" "}
        {after.complexity}/{after.category} prompts: <strong>{percent(before.mean, 0)}</strong>{" "}
        before, <strong>{percent(after.mean, 0)}</strong> now.
      </p>
      <dl className="beside">
        <Side name="Before" belief={before} />
        <Side name="Now" belief={after} />
      </dl>
      <p className="small muted">{place(before, after, rated.adaptive)}</p>
    </div>
  );
}

function Side({ name, belief }: { name: string; belief: BeliefRow }) {
  const [low, high] = belief.interval90;
  const words = `${percent(low, 0)} to ${percent(high, 0)}`;
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <Interval
          label={`${name}: ${percent(belief.mean, 0)}, between ${percent(low, 0)} and ${percent(high, 0)}`}
          mean={belief.mean}
          low={low}
          high={high}
        />
        <span className="small">
          90% sure: {words}, of {plural(belief.count, "score")}
        </span>
      </dd>
    </div>
  );
}

function place(before: BeliefRow, after: BeliefRow, adaptive: boolean): string {
  if (!adaptive)
    return "Adaptive routing is off (adaptive.enabled): this is kept, and routing does not follow it.";
  if (after.tried === null) return "Its route no longer names this model.";
  return before.tried === after.tried
    ? `It is still number ${after.tried} of its route.`
    : `It was number ${before.tried} of its route, and is number ${after.tried} now.`;
}
