// What is shown follows the books: the server says when requests have ended.

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { listen } from "./api";

const AFTER_MS = 700; // the server keeps an answer for some hundred milliseconds
const LEAST_MS = 2500;
const AGAIN_MS = 3000;

export type Pulse = "live" | "waiting";

export function useLive(): Pulse {
  const client = useQueryClient();
  const [pulse, setPulse] = useState<Pulse>("waiting");
  useEffect(() => {
    const stop = new AbortController();
    let timer: number | undefined;
    let last = 0;
    let first = true;
    const refresh = () => {
      setPulse("live");
      if (first) {
        first = false; // the stream begins with how things stand
        return;
      }
      if (timer !== undefined || document.hidden) return;
      const wait = Math.max(AFTER_MS, last + LEAST_MS - Date.now());
      timer = window.setTimeout(() => {
        timer = undefined;
        last = Date.now();
        void client.invalidateQueries({ refetchType: "active" });
      }, wait);
    };
    const run = async () => {
      while (!stop.signal.aborted) {
        try {
          await listen("live", stop.signal, refresh);
        } catch {
          // shown as "waiting"; the next try follows
        }
        if (stop.signal.aborted) return;
        setPulse("waiting");
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    };
    void run();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, [client]);
  return pulse;
}
