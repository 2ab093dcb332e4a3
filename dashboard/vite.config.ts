import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { sourcesHash } from "./sources";

const stamp: Plugin = {
  name: "stamp",
  generateBundle() {
    this.emitFile({ type: "asset", fileName: "sources.sha256", source: `${sourcesHash(__dirname)}\n` });
  },
};

// The built page is committed, so that an installation needs no Node.
export default defineConfig({
  base: "/dashboard/",
  plugins: [react(), stamp],
  build: {
    outDir: "../src/mmrouter/dashboard/static",
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the Content-Security-Policy allows no data: URL
  },
  server: { proxy: { "/dashboard/api": "http://127.0.0.1:8000" } },
});
