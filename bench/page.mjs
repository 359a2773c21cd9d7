#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// bench/page BUILD: the page of a real wick-server in headless Chromium: what
// is sent before the first picture, when it is there, and how smooth it moves.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const build = resolve(process.argv[2]);
const source = resolve(fileURLToPath(import.meta.url), "../..");
const ROUNDS = 7;

function skip(reason) {
  console.log(`skip ${reason}`);
  process.exit(0);
}

const executablePath = (process.env.PATH ?? "")
  .split(delimiter)
  .map((folder) => join(folder, process.env.CHROMIUM ?? "chromium"))
  .find((file) => existsSync(file));
if (!executablePath) skip("no chromium here");
const library = join(source, "web/node_modules/playwright-core");
if (!existsSync(library)) skip("web/node_modules has no playwright-core: run the tests once");
const { chromium } = createRequire(import.meta.url)(library);

const folder = mkdtempSync(join(tmpdir(), "wick-bench-page-"));

// A tree of more than 100,000 nodes, wide and narrow boxes mixed.
function folded() {
  const lines = [];
  let random = 1;
  const next = (n) => (random = (random * 48271) % 2147483647) % n;
  for (let i = 0; i < 22000; i++) {
    const stack = [`thread_${next(6)}`];
    const depth = 4 + next(14);
    for (let d = 0; d < depth; d++) stack.push(`layer${d}::function_${Math.min(next(40), next(40), next(40))}`);
    lines.push(`${stack.join(";")} ${1 + next(1000)}`);
  }
  return lines.join("\n") + "\n";
}

async function startServer() {
  const server = spawn(join(build, "wick-server"), ["--listen", "127.0.0.1:0", "--data", join(folder, "data"), "--ready-fd", "3"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const [line] = await once(server.stdio[3], "data");
  return { server, url: String(line).trim() };
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const p95 = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.95)];

async function shellBytes(url) {
  const html = await (await fetch(url)).text();
  const parts = [html];
  for (const [, path] of html.matchAll(/(?:src|href)="(\/(?!uPlot)[^"]+\.(?:js|css))"/g)) parts.push(await (await fetch(url + path)).text());
  const all = [...html.matchAll(/(?:src|href)="(\/[^"]+\.(?:js|css))"/g)].map(([, path]) => path);
  const chart = await Promise.all(all.filter((path) => path.includes("uPlot")).map(async (path) => (await fetch(url + path)).text()));
  const size = (texts) => texts.reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0);
  return { shell: size(parts), all: size(parts) + size(chart) };
}

// Intervals between frames while the mouse moves over the boxes and zooms.
async function frameTimes(page) {
  await page.evaluate(() => {
    window.intervals = [];
    let last = performance.now();
    const tick = (now) => {
      window.intervals.push(now - last);
      last = now;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  const canvas = await page.getByTestId("flame-canvas").boundingBox();
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 25; i++) await page.mouse.move(canvas.x + 20 + i * (canvas.width / 30), canvas.y + 30 + ((i * 37) % 200));
    await page.mouse.click(canvas.x + canvas.width * 0.1, canvas.y + 19 * (3 + round) + 8);
    await page.waitForFunction(() => window.__flame.zoomPath().length > 0);
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => window.__flame.zoomPath().length === 0);
  }
  return p95((await page.evaluate(() => window.intervals)).slice(2));
}

let server;
let browser;
try {
  writeFileSync(join(folder, "tree.folded"), folded());
  execFileSync(join(build, "wick"), ["convert", join(folder, "tree.folded"), join(folder, "tree.pb.gz")]);
  let url;
  ({ server, url } = await startServer());
  const answer = await fetch(`${url}/api/v1/ingest?service=bench&from=${Date.now() - 10000}&to=${Date.now()}`, {
    method: "POST",
    body: readFileSync(join(folder, "tree.pb.gz")),
  });
  if (!answer.ok) throw new Error(await answer.text());
  const sizes = await shellBytes(url);
  console.log(`page_shell_gz ${(sizes.shell / 1024).toFixed(1)}`);
  console.log(`page_all_gz ${(sizes.all / 1024).toFixed(1)}`);

  browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"],
  });
  const view = `${url}/#service=bench&type=samples:count`;
  const first = [];
  for (let i = 0; i < ROUNDS; i++) {
    const page = await browser.newPage({ viewport: { width: 1920, height: 1000 } });
    const started = performance.now();
    await page.goto(view);
    await page.waitForFunction(() => (window.__flame?.displayList().length ?? 0) > 3, null, { polling: "raf" });
    first.push(performance.now() - started);
    await page.close();
  }
  console.log(`page_first_flame ${(median(first) / 1000).toFixed(2)}`);

  const page = await browser.newPage({ viewport: { width: 1920, height: 1000 } });
  let nodes = 0;
  await page.route("**/api/v1/tree*", async (route) => {
    const whole = new URL(route.request().url());
    whole.searchParams.set("max_nodes", "1000000");
    await route.continue({ url: whole.href });
    whole.searchParams.set("format", "json");
    nodes = (await (await fetch(whole)).json()).nodes;
  });
  await page.goto(view);
  await page.waitForFunction(() => (window.__flame?.displayList().length ?? 0) > 3);
  const tries = [];
  for (let i = 0; i < ROUNDS; i++) tries.push(await frameTimes(page));
  console.log(`page_nodes ${nodes}`);
  console.log(`page_frame_p95 ${median(tries).toFixed(1)}`);
} finally {
  await browser?.close();
  if (server) {
    const gone = once(server, "exit");
    server.kill("SIGTERM");
    await gone;
  }
  rmSync(folder, { recursive: true, force: true });
}
