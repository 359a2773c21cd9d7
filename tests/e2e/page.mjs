// SPDX-License-Identifier: Apache-2.0
// page.mjs: the whole chain as a user meets it. `wick up` on this machine, an
// example program with a known answer, the real page in headless Chromium.
// Usage: page.mjs BUILD_DIR. Prints TAP; the screenshots are left in
// BUILD_DIR/e2e.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { createInterface } from "node:readline";

const build = resolve(process.argv[2] ?? "build");
const source = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../..");
// A name of its own: somebody else may run the example, too.
const SERVICE = `e2e-${process.pid}`;
const HOTTEST = "parse_request";
const artifacts = join(build, "e2e");
const children = [];
let n = 0;
let failed = 0;

function result(name, error) {
  n++;
  if (error) {
    failed++;
    for (const line of String(error.stack ?? error).split("\n")) console.log(`# ${line}`);
  }
  console.log(`${error ? "not ok" : "ok"} ${n} - ${name}`);
}

async function step(name, body) {
  try {
    await body();
    result(name);
  } catch (error) {
    result(name, error);
    const page = context?.pages()[0];
    console.log(`# at ${page?.url()}`);
    await page?.screenshot({ path: join(artifacts, "failed.png") });
    throw error;
  }
}

function check(condition, text) {
  if (!condition) throw new Error(text);
}

function skipAll(reason) {
  console.log(`1..0 # SKIP ${reason}`);
  process.exit(0);
}

function onPath(name) {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
}

function start(command, args, env = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...env } });
  children.push(child);
  return child;
}

async function firstLine(child) {
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, "line"),
    once(child, "exit").then(([status]) => {
      throw new Error(`ended with status ${status} before it was ready`);
    }),
  ]);
  return line;
}

// {name: share of the program's CPU, 0..1} as the example measured it itself.
function parseTruth(text) {
  const truth = new Map();
  for (const [, name, percent] of text.matchAll(/^truth (\S+) self \S+ total (\S+) /gm)) truth.set(name, percent / 100);
  return truth;
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}

const chromium = process.env.CHROMIUM ?? onPath("chromium");
if (!chromium) skipAll("no chromium here");
const modules = join(source, "web/node_modules/playwright-core");
if (!existsSync(modules)) skipAll("web/node_modules has no playwright-core");
if (process.getuid() !== 0) skipAll("sampling all processes needs root");

const { chromium: browserType } = createRequire(import.meta.url)(modules);
mkdirSync(artifacts, { recursive: true });
const data = mkdtempSync(join(tmpdir(), "wick-e2e-"));
const profile = mkdtempSync(join(tmpdir(), "wick-e2e-chromium-"));
let context;

async function main() {
  const up = start(join(build, "wick"), ["up", "--listen", "127.0.0.1:0", "--data", data]);
  const started = Date.now();
  const url = await firstLine(up);
  // Long enough for the steps that watch it live; prints its truth at the end.
  const example = start(join(build, "examples/example-fp"), ["50"], { WICK_SERVICE: SERVICE });
  const exampleEnded = once(example, "exit");
  let exampleOutput = "";
  example.stdout.on("data", (chunk) => (exampleOutput += chunk));

  context = await browserType.launchPersistentContext(profile, {
    executablePath: chromium,
    headless: true,
    viewport: { width: 1400, height: 900 },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  const page = context.pages()[0] ?? (await context.newPage());
  const foreign = [];
  const errors = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith(url.replace("http", "ws"))) foreign.push(request.url());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));

  await step("a live flame graph of all processes within 15 s of the start", async () => {
    await page.goto(url);
    await page.waitForFunction(() => (window.__flame?.displayList().length ?? 0) > 3, null, { timeout: 20000 });
    const seconds = (Date.now() - started) / 1000;
    console.log(`# first flame graph ${seconds.toFixed(1)} s after the start`);
    check(seconds <= 15, `took ${seconds.toFixed(1)} s`);
    await page.screenshot({ path: join(artifacts, "all-services.png") });
  });

  await step("kernel frames are there with their names", async () => {
    await page.waitForFunction(
      () => window.__flame.displayList().some((box) => /^(do_syscall_64|entry_SYSCALL_64|asm_\w+|ret_from_fork\w*|x64_sys_call)/.test(box.name)),
      null,
      { timeout: 30000 },
    );
  });

  await step("the example's service can be chosen and shows its hottest function", async () => {
    await page.waitForFunction(
      (name) => [...document.querySelectorAll("[data-testid=service-select] option")].some((o) => o.value === name),
      SERVICE,
      { timeout: 30000 },
    );
    await page.getByTestId("service-select").selectOption(SERVICE);
    // Of all services it had a smaller share.
    await page.waitForFunction((name) => window.__flame.boxAt(name)?.share > 0.4, HOTTEST, { timeout: 30000 });
    check(page.url().includes(SERVICE), "the URL does not name the service");
  });

  await step("a frame says how it was found", async () => {
    const box = await page.evaluate((name) => window.__flame.boxAt(name), HOTTEST);
    await page.mouse.move(box.x + box.w / 2, box.y + box.h / 2);
    await page.waitForFunction(() => /^Found: /.test(document.querySelector("[data-testid=tooltip-trust]")?.textContent ?? ""), null, { timeout: 5000 });
  });

  await step("zoom by click, live update keeps zoom and selection", async () => {
    const box = await page.evaluate((name) => window.__flame.boxAt(name), HOTTEST);
    await page.mouse.click(box.x + box.w / 2, box.y + box.h / 2);
    await page.waitForFunction((name) => window.__flame.zoomPath().at(-1) === name, HOTTEST, { timeout: 5000 });
    // New data changes the share of every box: the list is drawn anew.
    const shares = () => JSON.stringify(window.__flame.displayList().map((box) => box.share));
    const before = await page.evaluate(shares);
    await page.waitForFunction((old) => JSON.stringify(window.__flame.displayList().map((box) => box.share)) !== old, before, {
      timeout: 30000,
    });
    const zoom = await page.evaluate(() => window.__flame.zoomPath());
    check(zoom.at(-1) === HOTTEST, `zoom was lost: ${zoom}`);
    const url2 = page.url();
    await page.reload();
    await page.waitForFunction((name) => window.__flame?.zoomPath().at(-1) === name, HOTTEST, { timeout: 10000 });
    check(page.url() === url2, "the URL changed on reload");
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => window.__flame.zoomPath().length <= 1, null, { timeout: 5000 });
  });

  await step("search says the matched share", async () => {
    await page.getByTestId("search-input").fill(HOTTEST);
    await page.waitForFunction(() => /\d+(\.\d+)?\s*%/.test(document.querySelector("[data-testid=search-share]")?.textContent ?? ""));
    await page.screenshot({ path: join(artifacts, "search.png") });
  });

  await step("shares are within 3 points of the truth", async () => {
    await exampleEnded;
    const truth = parseTruth(exampleOutput);
    check(truth.size >= 3, `the example printed ${exampleOutput}`);
    // The last window is shipped within 10 s of its end.
    const deadline = Date.now() + 30000;
    for (;;) {
      const top = await (await fetch(`${url}/api/v1/top?service=${SERVICE}&from=now-15m&to=now`)).json();
      const worst = [...truth].map(([name, share]) => {
        const row = top.functions.find((f) => f.name === name);
        return [name, Math.abs((row?.total ?? 0) / top.total - share)];
      });
      const off = worst.filter(([, distance]) => distance > 0.03);
      if (off.length === 0) {
        console.log(`# off by ${worst.map(([name, d]) => `${name} ${(100 * d).toFixed(2)}`).join(", ")} points`);
        break;
      }
      check(Date.now() < deadline, `off: ${JSON.stringify(off)}`);
      await once(await socketEvents(url), "profiles");
    }
    const shown = await page.evaluate((name) => window.__flame.boxAt(name).share, HOTTEST);
    check(Math.abs(shown - truth.get(HOTTEST)) < 0.03, `the page says ${shown}, the truth is ${truth.get(HOTTEST)}`);
  });

  const testIdText = (id, pattern) =>
    page.waitForFunction(([name, source]) => new RegExp(source).test(document.querySelector(`[data-testid=${name}]`)?.textContent ?? ""), [id, pattern.source], {
      timeout: 15000,
    });
  const goTo = async (fragment) => {
    await page.goto("about:blank"); // another fragment alone would load nothing
    await page.goto(`${url}/#${fragment}`);
    await page.waitForFunction(() => (window.__flame?.displayList().length ?? 0) > 3, null, { timeout: 15000 });
  };

  await step("a selector narrows the flame graph, and a wrong one is refused in place", async () => {
    await goTo("live=0");
    await page.waitForFunction((name) => window.__flame.displayList().some((box) => box.name === name), SERVICE);
    const input = page.getByTestId("selector-input");
    await input.fill(`service=~"e2e-.*", service!="x"`);
    await input.press("Enter");
    await page.waitForFunction((name) => window.__flame.boxAt(name)?.share === 1, SERVICE, { timeout: 15000 });
    const before = errors.length;
    await input.fill(`service "x"`);
    await input.press("Enter");
    await testIdText("selector-error", /^Selector: At character 9: expected .* after "service"/);
    // The browser itself logs each refusal.
    const logged = errors.splice(before);
    check(logged.every((text) => /status of 400/.test(text)), logged.join("\n"));
    check(await page.evaluate((name) => window.__flame.boxAt(name)?.share === 1, SERVICE), "what was shown is gone");
  });

  await step("the heat map shows the example running and a column narrows to its second", async () => {
    await goTo(`live=0&chart=heat&range=5m&service=${SERVICE}`);
    await page.waitForFunction(() => window.__heat, null, { timeout: 15000 });
    const heat = await (await fetch(`${url}/api/v1/heatmap?service=${SERVICE}&from=now-5m&to=now`)).json();
    check(heat.timed_share > 0.99, `the agent's samples have times: ${heat.timed_share}`);
    const busy = (await page.getByTestId("heat").getAttribute("aria-label")).match(/(\d+) columns, 50 rows; highest (\S+) cores/);
    check(busy && Number(busy[2]) > 0.4, `says ${busy}`);
    await page.screenshot({ path: join(artifacts, "heat.png") });
    await page.getByTestId("heat").focus();
    for (const key of ["End", "PageUp", "PageUp", "PageUp"]) await page.keyboard.press(key);
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => /from=\d+&to=\d+/.test(location.hash), null, { timeout: 5000 });
    const [, from, to] = /from=(\d+)&to=(\d+)/.exec(page.url()).map(Number);
    check(to - from === 1000, `${from} to ${to}`);
  });

  await step("a comparison of the example with itself tests both sides and finds no large change", async () => {
    const series = await (await fetch(`${url}/api/v1/series?service=${SERVICE}&from=now-15m&to=now&step=10000`)).json();
    const known = series.values.map((v, i) => [series.from_ms + i * series.step_ms, v ?? 0]).filter(([, v]) => v > 0);
    check(known.length >= 4, `${known.length} steps of the example`);
    const [start, middle, end] = [known[0][0], known[known.length >> 1][0], known[known.length - 1][0] + series.step_ms];
    await goTo(`service=${SERVICE}&from=${middle}&to=${end}&base=${start}..${middle}`);
    await page.getByTestId("diff-legend").waitFor();
    await testIdText("side-b", /[\d,]+ samples/);
    await page.getByTestId("diff-row").first().waitFor();
    check((await page.getByTestId("untested").count()) === 0, "the samples of both sides have times");
    // The example does the same all the time; a few samples more or less of it may be of either side.
    const deltas = await page.locator("td.delta").allTextContents();
    const points = deltas.map((text) => Math.abs(Number(/[−+]([\d.]+)$/.exec(text)[1])));
    check(points.every((p) => p < 5), deltas.slice(0, 5).join("; "));
    const api = await (await fetch(`${url}/api/v1/diff?service=${SERVICE}&from=${middle}&to=${end}&base_from=${start}&base_to=${middle}`)).json();
    check(api.samples_a > 100 && api.samples_b > 100 && "significant" in api.functions[0].total, JSON.stringify(api.functions[0]));
    await page.screenshot({ path: join(artifacts, "diff.png") });
  });

  await step("the largest profile of the hottest function is found and shown alone", async () => {
    await goTo(`live=0&service=${SERVICE}&fn=${HOTTEST}&list=profiles`);
    const row = page.getByTestId("profile-row").first();
    await row.waitFor({ timeout: 15000 });
    await page.screenshot({ path: join(artifacts, "profiles.png") });
    const api = await (await fetch(`${url}/api/v1/profiles?service=${SERVICE}&from=now-15m&to=now&focus=^${HOTTEST}$&limit=1`)).json();
    await row.getByRole("button").click();
    await page.waitForFunction(() => /from=\d+&to=\d+/.test(location.hash), null, { timeout: 5000 });
    check(page.url().includes(`from=${api.largest[0].from_ms}&to=${api.largest[0].to_ms}`), `${page.url()} is not ${JSON.stringify(api.largest)}`);
    await testIdText("quality-strip", /samples/);
    await page.waitForFunction((name) => window.__flame.boxAt(name)?.share > 0.3, HOTTEST, { timeout: 15000 });
  });

  await step("the reasons of incomplete stacks lead to them", async () => {
    await page.goto(`${url}/#live=0`);
    const fact = page.locator("[data-fact=incomplete]");
    await fact.waitFor({ timeout: 10000 });
    const { quality } = await (await fetch(`${url}/api/v1/top?from=now-15m&to=now&limit=1`)).json();
    console.log(`# ${await fact.textContent()}: ${quality.stack_ends.map((end) => end.reason).join(", ")}`);
    check(quality.unwind.length > 0, "the agent does not say how it walks stacks");
    // Processes that begin or end right now are seldom absent.
    if ((await fact.locator("summary").count()) === 0) return;
    await fact.locator("summary").click();
    await page.screenshot({ path: join(artifacts, "incomplete.png") });
    await page.getByTestId("stack-ends").locator("a").first().click();
    await page.waitForFunction(() => /label=stack_end:\w/.test(location.hash), null, { timeout: 5000 });
    const reason = /stack_end:(\w+)/.exec(page.url())[1];
    await page.waitForFunction((name) => window.__flame.displayList().some((box) => box.name === `[incomplete: ${name}]`), reason, { timeout: 10000 });
    check(/^100 % in incomplete stacks/.test(await fact.textContent()), `of those the page says ${await fact.textContent()}`);
  });

  await step("no third-party request, no error in the console", async () => {
    check(foreign.length === 0, `requested ${foreign}`);
    check(errors.length === 0, errors.join("\n"));
  });

  await step("Ctrl-C ends both programs in order", async () => {
    const ended = once(up, "exit");
    up.kill("SIGINT");
    const [status] = await ended;
    check(status === 0, `status ${status}`);
  });
}

// An emitter of the live channel's events, so that waiting needs no clock.
async function socketEvents(url) {
  const { EventEmitter } = await import("node:events");
  const emitter = new EventEmitter();
  const socketPage = await context.newPage();
  await socketPage.exposeFunction("wickEvent", (text) => {
    const event = JSON.parse(text);
    emitter.emit(event.event, event);
    if (event.event === "profiles") void socketPage.close();
  });
  await socketPage.goto(`${url}/health`);
  await socketPage.evaluate((address) => {
    window.socket = new WebSocket(address);
    window.socket.onmessage = (message) => window.wickEvent(message.data);
  }, `${url.replace("http", "ws")}/api/v1/live`);
  return emitter;
}

try {
  await main();
} catch (error) {
  if (failed === 0) result("the test itself", error);
} finally {
  await context?.close();
  for (const child of children) await stop(child);
  rmSync(data, { recursive: true, force: true });
  rmSync(profile, { recursive: true, force: true });
}
console.log(`1..${n}`);
process.exit(failed ? 1 : 0);
