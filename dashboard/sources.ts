// Names what a build was made from, so that a test without Node can tell whether it is fresh.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const TOP = ["index.html", "package-lock.json", "package.json", "sources.ts", "tsconfig.json", "vite.config.ts"];

/** SHA-256, hex, of "path NUL content NUL" of each source file, in order of their paths. */
export function sourcesHash(root: string): string {
  const inner = ["public", "src"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1)),
  );
  const hash = createHash("sha256");
  for (const path of [...TOP, ...inner].map((name) => name.replaceAll("\\", "/")).sort()) {
    hash.update(`${path}\0`).update(readFileSync(join(root, path))).update("\0");
  }
  return hash.digest("hex");
}
