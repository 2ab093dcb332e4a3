// Starts an experiment against the config in force.

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { post } from "../api";
import { useData } from "../parts/data";

const UNITS = [
  ["prompt", "prompt", "conversations that begin with the same words go the same way, whoever asks"],
  ["session", "conversation", "all turns of one client's conversation go the same way"],
  ["key", "API key", "all requests of an API key go the same way"],
] as const;

export function Create() {
  const client = useQueryClient();
  const config = useData<{ text: string }>("config");
  const [name, setName] = useState("");
  const [share, setShare] = useState("50");
  const [unit, setUnit] = useState<string>("prompt");
  const [guardrail, setGuardrail] = useState("10");
  const [text, setText] = useState<string | null>(null);
  const create = useMutation({
    mutationFn: () =>
      post("experiments", {
        name,
        share: Number(share) / 100,
        unit,
        guardrail: guardrail === "" ? null : Number(guardrail) / 100,
        treatment: text ?? config.data?.text ?? "",
      }),
    onSuccess: () => client.invalidateQueries(),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <form className="card stack" aria-label="Start an experiment" onSubmit={submit}>
      <h2>Start one</h2>
      <div className="fields">
        <label>
          Name
          <input
            required
            maxLength={64}
            pattern="[A-Za-z0-9][A-Za-z0-9._\-]*"
            title="Letters, digits, dots, dashes and underscores"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </label>
        <label>
          Share of the treatment, %
          <input
            type="number"
            min="1"
            max="99"
            required
            value={share}
            onChange={(event) => setShare(event.target.value)}
          />
        </label>
        <label>
          Split by
          <select value={unit} onChange={(event) => setUnit(event.target.value)}>
            {UNITS.map(([value, title]) => (
              <option key={value} value={value}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <label>
          Guardrail: most that may fail, %
          <input
            type="number"
            min="0.1"
            max="99"
            step="any"
            placeholder="none"
            value={guardrail}
            onChange={(event) => setGuardrail(event.target.value)}
          />
        </label>
      </div>
      <p className="small muted">
        Split by {UNITS.find(([value]) => value === unit)?.[1]}: {UNITS.find(([value]) => value === unit)?.[2]}.
        {guardrail === ""
          ? " Without a guardrail, nothing halts a variant that fails."
          : ` A variant of which surely more than ${guardrail}% fail is halted, and its requests go by the control.`}
      </p>
      <label>
        The treatment: the config in force, edited
        <textarea
          rows={12}
          className="code"
          spellCheck={false}
          value={text ?? config.data?.text ?? ""}
          onChange={(event) => setText(event.target.value)}
        />
      </label>
      {create.error && (
        <p className="bad" role="alert">
          {create.error.message}
        </p>
      )}
      <div>
        <button type="submit" className="primary" disabled={create.isPending || !config.data}>
          Start the experiment
        </button>
      </div>
    </form>
  );
}
