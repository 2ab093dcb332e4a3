// Dark, light, or as the system has it.

import { useEffect, useState } from "react";

const NAME = "mmrouter-theme";
export type Theme = "system" | "light" | "dark";
export const THEMES: readonly Theme[] = ["system", "light", "dark"];

const system = window.matchMedia("(prefers-color-scheme: dark)");

function kept(): Theme {
  const value = localStorage.getItem(NAME);
  return value === "light" || value === "dark" ? value : "system";
}

function apply(): void {
  const theme = kept();
  document.documentElement.dataset.theme =
    theme === "system" ? (system.matches ? "dark" : "light") : theme;
}

apply();
system.addEventListener("change", apply);

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(kept);
  useEffect(() => {
    localStorage.setItem(NAME, theme);
    apply();
  }, [theme]);
  return [theme, setTheme];
}
