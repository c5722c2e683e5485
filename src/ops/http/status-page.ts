import { sha256Hex } from "../../base/digest.ts";
import { type HttpHandler, send } from "./ops-http-server.ts";
import { STATUS_SCRIPT } from "./status-script.ts";
import { STATUS_STYLE } from "./status-style.ts";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Seam fleet</title>
<link rel="icon" href="data:,">
<style>${STATUS_STYLE}</style>
</head>
<body>
<a class="skip" href="#agents">Skip to agents</a>
<header>
<h1>Seam fleet</h1>
<p id="summary" role="status" aria-live="polite">Loading…</p>
</header>
<main>
<section aria-labelledby="agents-title">
<h2 id="agents-title">Agents</h2>
<div class="scroll" tabindex="0" role="region" aria-labelledby="agents-title">
<table id="agents">
<thead><tr><th scope="col">Cluster</th><th scope="col">Channel</th><th scope="col">Index</th><th scope="col">Items</th><th scope="col">Snapshot</th><th scope="col">Drift</th><th scope="col">Audit backlog</th><th scope="col">Last seen</th><th scope="col">Agent</th></tr></thead>
<tbody></tbody>
</table>
</div>
</section>
<section aria-labelledby="items-title">
<h2 id="items-title">Items on the way</h2>
<p class="hint">Items that are not healthy yet. Everything else is where it should be.</p>
<div class="scroll" tabindex="0" role="region" aria-labelledby="items-title">
<table id="items">
<thead><tr><th scope="col">Cluster</th><th scope="col">Item</th><th scope="col">Version</th><th scope="col">Level</th><th scope="col">Refusal</th></tr></thead>
<tbody></tbody>
</table>
</div>
</section>
<section aria-labelledby="receipts-title">
<h2 id="receipts-title">Packs</h2>
<div class="scroll" tabindex="0" role="region" aria-labelledby="receipts-title">
<table id="receipts">
<thead><tr><th scope="col">Cluster</th><th scope="col">Pack</th><th scope="col">Version</th><th scope="col">Serial</th><th scope="col">Verified</th><th scope="col">Level</th><th scope="col">Drift</th><th scope="col">Objects</th></tr></thead>
<tbody></tbody>
</table>
</div>
</section>
<section aria-labelledby="drift-title">
<h2 id="drift-title">Drift</h2>
<div class="scroll" tabindex="0" role="region" aria-labelledby="drift-title">
<table id="drift">
<thead><tr><th scope="col">Cluster</th><th scope="col">Affected</th><th scope="col">State</th><th scope="col">Failed corrections</th><th scope="col">Since</th><th scope="col">Reason</th></tr></thead>
<tbody></tbody>
</table>
</div>
</section>
</main>
<noscript><p>This page reads the fleet with JavaScript. The same answers: <code>seamctl agents</code>, <code>seamctl receipts</code>, <code>seamctl drift</code>.</p></noscript>
<script type="module">${STATUS_SCRIPT}</script>
</body>
</html>
`;

const hash = (text: string): string => `'sha256-${Buffer.from(sha256Hex(text), "hex").toString("base64")}'`;
/** Nothing but what stands in the page itself may run, and it talks to nobody but this server. */
const POLICY = [
  "default-src 'none'",
  `script-src ${hash(STATUS_SCRIPT)}`,
  `style-src ${hash(STATUS_STYLE)}`,
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Serves the read-only status page at `/`. */
export const statusPage: HttpHandler = (request, response) => {
  const path = (request.url ?? "/").split("?")[0];
  if (path !== "/" || (request.method !== "GET" && request.method !== "HEAD")) return false;
  response.setHeader("content-security-policy", POLICY);
  response.setHeader("referrer-policy", "no-referrer");
  send(response, 200, "text/html; charset=utf-8", request.method === "HEAD" ? "" : PAGE);
  return true;
};
