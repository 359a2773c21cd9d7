/* SPDX-License-Identifier: Apache-2.0 */
/* browser.test.ts: the built page in a real Chromium against the mock server.
 * CHROMIUM names the browser; without one every case is skipped. */
import assert from 'node:assert/strict';
import { accessSync, constants, readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { MockServer, QUALITY } from './mock_server';
import { narrowTowers, sampleNodes } from './sample_tree';
import { diffSlab, nodesOf, slabOf, type Node } from './slab_writer';

declare const DIST_DIR: string;
declare const WEB_DIR: string;

function chromiumPath(): string {
	const name = process.env['CHROMIUM'] ?? 'chromium';
	const places = name.includes('/') ? [name] : (process.env['PATH'] ?? '').split(delimiter).map((d) => join(d, name));
	return places.find((p) => {
		try {
			accessSync(p, constants.X_OK);
			return true;
		} catch {
			return false;
		}
	}) ?? '';
}

const executablePath = chromiumPath();
const skip = executablePath ? false : 'chromium is not here: apt install chromium, or name one by CHROMIUM';

const FOLDED = 'api;main;parse;k_read 200\napi;main;parse 300\napi;main;write 250\nworker;main;sort 150\nworker;main;parse 100';
const GROWN = 'worker;main;sort 9000\napi;main;parse;k_read 400\napi;main;parse 300\napi;main;write 50\nworker;main;parse 100';

let nodes: Node[] = nodesOf(FOLDED);
const server = new MockServer(DIST_DIR, { services: ['api', 'worker'], nodes: () => nodes, quality: QUALITY, status: {}, fail: null, timedShare: 1 });
const base = skip ? '' : await server.start();
const browser = skip ? null : await launch();

function launch(): Promise<Browser> {
	const { chromium } = createRequire(join(WEB_DIR, 'build.mjs'))('playwright-core') as typeof import('playwright-core');
	return chromium.launch({ executablePath, args: ['--disable-gpu', '--no-sandbox', '--disable-dev-shm-usage'] });
}

/* Hooks at the root of a file are newer than Node 18.15: the browser is
 * closed when all of these have ended. */
const cases: Promise<void>[] = [];

/* A page that fails the test on any script error, CSP report or request to elsewhere. */
async function withPage(fragment: string, options: BrowserContextOptions, run: (page: Page) => Promise<void>): Promise<void> {
	const context = await browser!.newContext({ viewport: { width: 1200, height: 800 }, reducedMotion: 'reduce', ...options });
	const page = await context.newPage();
	const wrong: string[] = [];
	page.on('pageerror', (e) => wrong.push(e.message));
	page.on('console', (m) => m.type() === 'error' && !/Failed to load resource|WebSocket connection/.test(m.text()) && wrong.push(m.text()));
	page.on('request', (r) => !/^(http:\/\/127\.0\.0\.1|file:|data:|blob:)/.test(r.url()) && wrong.push(`request to ${r.url()}`));
	try {
		await page.goto(fragment.startsWith('file:') ? fragment : `${base}/${fragment}`);
		await page.waitForFunction(() => window.__flame);
		await run(page);
		assert.deepEqual(wrong, []);
	} finally {
		await context.close();
	}
}

function scenario(name: string, fragment: string, run: (page: Page) => Promise<void>, options: BrowserContextOptions = {}): void {
	cases.push(test(`page: ${name}`, { skip, timeout: 60_000 }, async () => {
		nodes = nodesOf(FOLDED);
		server.data.status = {};
		server.data.quality = QUALITY;
		server.data.fail = null;
		server.data.timedShare = 1;
		await withPage(fragment, options, run);
	}));
}

const boxNames = (page: Page): Promise<string[]> => page.evaluate(() => window.__flame!.displayList().map((b) => b.name));
const zoomPath = (page: Page): Promise<string[]> => page.evaluate(() => window.__flame!.zoomPath());
const fragmentOf = (page: Page): string => decodeURIComponent(new URL(page.url()).hash);
const untilBox = (page: Page, name: string): Promise<unknown> => page.waitForFunction((n) => window.__flame!.boxAt(n), name);
const untilZoom = (page: Page, path: string): Promise<unknown> => page.waitForFunction((p) => window.__flame!.zoomPath().join(';') === p, path);

async function clickBox(page: Page, name: string): Promise<void> {
	await untilBox(page, name);
	const box = (await page.evaluate((n) => window.__flame!.boxAt(n), name))!;
	await page.mouse.click(box.x + box.w / 2, box.y + box.h / 2);
}

scenario('shows boxes with their shares', '', async (page) => {
	await untilBox(page, 'write');
	const box = (await page.evaluate(() => window.__flame!.boxAt('write')))!;
	const all = (await page.evaluate(() => window.__flame!.boxAt('all')))!;
	assert.equal(box.share, 0.25);
	assert.ok(Math.abs(box.w / all.w - 0.25) < 0.01);
	assert.equal(await page.getByTestId('top-row').first().getAttribute('data-name'), 'parse');
	assert.match((await page.getByTestId('quality-strip').textContent())!, /5,998 samples.*nothing lost.*all stacks complete.*2\.10 % without a name/);
});

scenario('hover tells name, self, total and shares', '#zoom=api', async (page) => {
	await untilBox(page, 'parse');
	const box = (await page.evaluate(() => window.__flame!.boxAt('parse')))!;
	await page.mouse.move(box.x + 5, box.y + 5);
	const text = (await page.getByTestId('tooltip').textContent())!;
	assert.match(text, /^parse.*total 500 ns · 50\.0 % · 66\.7 % of view · self 300 ns$/);
});

/* api;main by a table, parse by a frame pointer, write by both. */
const FOUND: Record<string, number> = { main: 4, parse: 16, write: 4 | 16 };
const foundNodes = (): Node[] => nodesOf(FOLDED).map((n) => ({ ...n, found: FOUND[n.frame?.name ?? ''] ?? 1 }));

scenario('frames that are less certain are dotted, and say why', '', async (page) => {
	await untilBox(page, 'write');
	assert.equal(await page.getByTestId('doubt-legend').count(), 0, 'nothing is known of these');
	nodes = foundNodes();
	await page.reload();
	await page.getByTestId('doubt-legend').waitFor();
	const dotted = await page.evaluate(() => window.__flame!.displayList().filter((b) => b.isDoubtful).map((b) => b.name));
	assert.deepEqual(dotted, ['parse', 'parse']);
	const trustOf = async (name: string): Promise<string> => {
		const box = (await page.evaluate((n) => window.__flame!.boxAt(n), name))!;
		await page.mouse.move(box.x + 5, box.y + 5);
		await page.waitForFunction((n) => document.querySelector('[data-testid=tooltip] b')?.textContent === n, name);
		return (await page.getByTestId('tooltip-trust').allTextContents()).join();
	};
	assert.equal(await trustOf('parse'), 'Found: by a frame pointer (less certain)');
	assert.equal(await trustOf('write'), 'Found: by the unwind information of the function it called; by a frame pointer');
	assert.equal(await trustOf('k_read'), '');
	await page.locator('[role=tree]').focus();
	for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown']) await page.keyboard.press(key);
	await page.waitForFunction(() => /^parse, user, Found: by a frame pointer/.test(document.querySelector('[data-testid=flame-live]')?.textContent ?? ''));
});

scenario('click zooms, Escape and the back button return', '', async (page) => {
	await clickBox(page, 'main');
	await untilZoom(page, 'api;main');
	assert.deepEqual((await boxNames(page)).slice(0, 1), ['main']);
	await clickBox(page, 'parse');
	await untilZoom(page, 'api;main;parse');
	await page.keyboard.press('Escape');
	await untilZoom(page, 'api;main');
	await page.goBack();
	await untilZoom(page, 'api;main;parse');
	await page.getByTestId('zoom-reset').click();
	await untilZoom(page, '');
	await page.goBack();
	await untilZoom(page, 'api;main;parse');
	await page.goForward();
	await untilZoom(page, '');
	await page.getByTestId('breadcrumb').waitFor();
});

scenario('double click on the root of a zoomed view shows all', '#zoom=api&zoom=main', async (page) => {
	await untilBox(page, 'main');
	const box = (await page.evaluate(() => window.__flame!.boxAt('main')))!;
	await page.mouse.dblclick(box.x + 20, box.y + 5);
	await untilZoom(page, '');
});

scenario('search says its share and lights what it finds', '', async (page) => {
	await untilBox(page, 'parse');
	await page.keyboard.press('/');
	await page.keyboard.type('parse');
	await page.waitForFunction(() => document.querySelector('[data-testid=search-share]')?.textContent?.startsWith('60.0 %'));
	assert.equal(fragmentOf(page), '#find=parse');
	const lit = await page.evaluate(() => window.__flame!.displayList().filter((b) => b.isMatch).map((b) => b.name));
	assert.deepEqual(lit, ['parse', 'parse']);
	await page.getByTestId('search-input').fill('/(/');
	await page.waitForFunction(() => /Invalid regular/.test(document.querySelector('[data-testid=search-share]')?.textContent ?? ''));
});

scenario('the keyboard walks, zooms, selects and speaks', '', async (page) => {
	await untilBox(page, 'parse');
	await page.locator('[role=tree]').focus();
	for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowRight']) await page.keyboard.press(key);
	await page.waitForFunction(() => document.querySelector('[data-testid=flame-live]')?.textContent?.startsWith('write'));
	assert.match((await page.locator('[role=treeitem]').getAttribute('aria-label'))!, /^write, total 250 ns · 25\.0 %/);
	assert.equal(await page.locator('[role=treeitem]').getAttribute('aria-posinset'), '2');
	await page.keyboard.press('Space');
	await page.getByTestId('selected-fn').waitFor();
	assert.equal(fragmentOf(page), '#fn=write');
	await page.keyboard.press('ArrowUp');
	await page.keyboard.press('Enter');
	await untilZoom(page, 'api;main');
	await page.keyboard.press('Escape');
	await untilZoom(page, '');
});

scenario('a table row selects its function, headings sort', '', async (page) => {
	await page.locator('[data-testid=top-row][data-name=sort]').click();
	assert.match((await page.getByTestId('selected-fn').textContent())!, /sort 15\.0 %/);
	await page.getByTestId('sort-total').click();
	await page.waitForFunction(() => document.querySelector('[data-testid=top-row]')?.getAttribute('data-name') === 'main');
	assert.ok(server.asked.some((a) => a.startsWith('/api/v1/top?') && a.includes('order=total')));
	await page.getByTestId('sort-name').click();
	await page.waitForFunction(() => document.querySelector('[data-testid=top-row]')?.getAttribute('data-name') === 'api');
});

scenario('live data moves the boxes and nothing else', '#zoom=api&find=parse&fn=main', async (page) => {
	await untilBox(page, 'write');
	await page.waitForFunction(() => document.querySelector('[data-testid=live-state]')?.getAttribute('data-state') === 'live');
	const before = (await page.evaluate(() => window.__flame!.boxAt('write')))!;
	nodes = nodesOf(GROWN);
	server.news();
	await page.waitForFunction((w) => (window.__flame!.boxAt('write')?.w ?? w) < w / 2, before.w);
	assert.deepEqual(await zoomPath(page), ['api']);
	assert.equal(fragmentOf(page), '#zoom=api&find=parse&fn=main');
	assert.equal(await page.getByTestId('search-input').inputValue(), 'parse');
	assert.ok(await page.getByTestId('selected-fn').isVisible());
});

scenario('a zoomed frame that is gone shows its caller, and comes back', '#zoom=api&zoom=main&zoom=write', async (page) => {
	await untilBox(page, 'write');
	await page.waitForFunction(() => document.querySelector('[data-testid=live-state]')?.getAttribute('data-state') === 'live');
	nodes = nodesOf('api;main;parse 10');
	server.news();
	await untilBox(page, 'parse');
	assert.deepEqual(await zoomPath(page), ['api', 'main', 'write']);
	assert.match((await page.getByTestId('breadcrumb').textContent())!, /nearest caller/);
});

scenario('a lost live connection is said, and made again', '', async (page) => {
	await page.waitForFunction(() => document.querySelector('[data-testid=live-state]')?.getAttribute('data-state') === 'live');
	server.cutLive();
	await page.waitForFunction(() => document.querySelector('[data-testid=live-state]')?.getAttribute('data-state') !== 'live');
	nodes = nodesOf('fresh;work 10');
	server.news();
	await page.waitForFunction(() => document.querySelector('[data-testid=live-state]')?.getAttribute('data-state') === 'live');
	await untilBox(page, 'fresh');
});

scenario('the lines of a function stand apart when asked for, each a place of its own', '#zoom=parse', async (page) => {
	nodes = [
		{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 },
		{ frame: { name: 'parse', file: 'p.c', line: 80 }, depth: 1, self: 3 },
		{ frame: { name: 'parse', file: 'p.c', line: 81 }, depth: 1, self: 2 },
		{ frame: { name: 'read', file: 'r.c', line: 7 }, depth: 2, self: 1 },
	];
	const answers = ['tree', 'top'].map((what) => page.waitForResponse((r) => new RegExp(`/${what}\\?.*lines=1`).test(r.url())));
	await page.getByTestId('lines').click();
	await Promise.all(answers);
	await page.locator('[data-testid=top-row]', { hasText: 'parse:81' }).waitFor();
	await clickBox(page, 'read');
	await untilZoom(page, 'parse:81;read:7');
	assert.equal(fragmentOf(page), '#lines=1&zoom=parse:81&zoom=read:7');
	const box = (await page.evaluate(() => window.__flame!.boxAt('read')))!;
	await page.mouse.move(box.x + 5, box.y + 5);
	assert.match((await page.getByTestId('tooltip').textContent())!, /r\.c:7/);
});

scenario('service, range, labels and unit reach the server and the address', '', async (page) => {
	await page.getByTestId('service-select').selectOption('worker');
	await page.getByTestId('range-1h').click();
	await page.getByText('+ Filter').click();
	await page.locator('input[name=value]').fill('web-1');
	const answer = page.waitForResponse((r) => /\/top\?.*label=/.test(r.url()));
	await page.getByText('Add filter').click();
	await answer;
	assert.equal(fragmentOf(page), '#service=worker&label=host:web-1&range=1h');
	await page.waitForFunction(() => document.querySelector('.series-plot canvas'));
	const asked = (): boolean => server.asked.some((a) => /\/tree\?service=worker&type=cpu%3Ananoseconds&label=host%3Aweb-1&from=now-1h&to=now&format=slab$/.test(a));
	assert.ok(asked(), server.asked.slice(-8).join('\n'));
	await page.getByTestId('unit-percent').click();
	await page.waitForFunction(() => /unit=percent/.test(location.hash));
});

scenario('patterns are added and removed by keyboard, and reach the server and the address', '', async (page) => {
	const add = async (kind: string, pattern: string): Promise<void> => {
		await page.locator('summary', { hasText: '+ Pattern' }).focus();
		await page.keyboard.press('Enter');
		await page.getByTestId('filter-kind').selectOption(kind);
		await page.getByTestId('filter-pattern').focus();
		await page.keyboard.type(pattern);
		const answer = page.waitForResponse((r) => r.url().includes(`${kind}=`) && r.url().includes('/series?'));
		await page.keyboard.press('Enter');
		await answer;
	};
	await add('focus', '^std::');
	await add('show_from', 'main|run');
	assert.equal(fragmentOf(page), '#focus=^std::&show_from=main|run');
	for (const path of ['tree', 'series', 'top'])
		assert.ok(server.asked.some((a) => a.includes(`/${path}?`) && a.includes('&focus=%5Estd%3A%3A&show_from=main%7Crun')), path);
	assert.ok(!server.asked.some((a) => a.includes('/services?') && a.includes('focus=')));
	await page.getByRole('button', { name: 'Remove focus ^std::' }).press('Enter');
	await page.waitForFunction(() => !location.hash.includes('focus='));
	await page.goBack();
	assert.equal(await page.getByTestId('filter-chip').count(), 2, 'the back button brings it back');
	await page.getByTestId('filter-clear').press('Enter');
	await page.waitForFunction(() => document.querySelectorAll('[data-testid=filter-chip]').length === 0);
	assert.equal(fragmentOf(page), '');
});

scenario('a drag over the series chooses a range and stops following', '', async (page) => {
	const over = page.locator('.series-plot .u-over');
	await over.waitFor();
	const at = (await over.boundingBox())!;
	await page.mouse.move(at.x + at.width * 0.5, at.y + 30);
	await page.mouse.down();
	await page.mouse.move(at.x + at.width * 0.7, at.y + 40, { steps: 4 });
	await page.mouse.up();
	await page.waitForFunction(() => /from=\d+&to=\d+/.test(location.hash));
	assert.equal(await page.getByTestId('live-state').getAttribute('data-state'), 'off');
	const [, from, to] = /from=(\d+)&to=(\d+)/.exec(fragmentOf(page))!.map(Number);
	assert.ok(Math.abs(to - from - 0.2 * 900_000) < 30_000, `${to - from} ms`);
});

const until = (page: Page, testid: string, pattern: RegExp): Promise<unknown> => page.waitForFunction(
	([id, source]) => new RegExp(source).test(document.querySelector(`[data-testid=${id}]`)?.textContent ?? ''), [testid, pattern.source]);

scenario('a selector narrows all that is shown, beside labels, and stays in the address', '#label=host:web-1', async (page) => {
	await untilBox(page, 'write');
	const input = page.getByTestId('selector-input');
	const narrowed = ['tree', 'series', 'top'].map((what) => page.waitForResponse((r) => r.url().includes(`/${what}?`) && r.url().includes('&query=')));
	await input.fill('service=~"a.*", thread_name!="gc"');
	await input.press('Enter');
	await Promise.all(narrowed);
	assert.ok(server.asked.some((a) => a.startsWith('/api/v1/tree?') && decodeURIComponent(a.replace(/\+/g, ' ')).includes('label=host:web-1&query={service=~"a.*", thread_name!="gc"}&')));
	assert.match(fragmentOf(page), /query=service=~"a\.\*",\+thread_name!="gc"/);
	for (const [press, path] of [['chart-heat', 'heatmap'], ['list-profiles', 'profiles'], ['compare', 'diff']]) {
		const answer = page.waitForResponse((r) => r.url().includes(`/${path}?`) && r.url().includes('&query='));
		await page.getByTestId(press).click();
		await answer;
	}
	await page.reload();
	assert.equal(await input.inputValue(), 'service=~"a.*", thread_name!="gc"');
	await input.fill('');
	await input.press('Enter');
	await page.waitForFunction(() => !location.hash.includes('query='));
});

scenario('a selector that the server refuses is said in place, and what was shown stays', '', async (page) => {
	await untilBox(page, 'write');
	const input = page.getByTestId('selector-input');
	await input.fill('host!!"a"');
	await input.press('Enter');
	await until(page, 'selector-error', /^Selector: At character 6: expected = != =~ or !~ after "host"\. What is shown is what was asked for before\.$/);
	assert.equal(await input.getAttribute('aria-invalid'), 'true');
	assert.equal(await page.getByTestId('problem').count(), 0, 'said once');
	await untilBox(page, 'write');
	const asked = server.asked.length;
	server.news();
	await input.fill('host="a"');
	await input.press('Enter');
	await until(page, 'selector-error', /^$/);
	assert.ok(server.asked.slice(asked).every((a) => !a.includes('%21%21')), 'what was refused is not asked again');
	assert.equal(await input.getAttribute('aria-invalid'), 'false');
});

const isWithin = (box: { x: number; width: number }, width: number): boolean => box.x >= 0 && box.x + box.width <= width;

scenario('the heat map shows when samples were taken, in cells with numbers', '#range=5m&chart=heat', async (page) => {
	await page.waitForFunction(() => window.__heat);
	assert.ok(server.asked.some((a) => /\/heatmap\?.*column=1000&rows=50$/.test(a)));
	const cell = (c: number, r: number) => page.evaluate(([x, y]) => window.__heat!(x, y), [c, r] as const);
	const [none, some, most] = await Promise.all([cell(1, 5), cell(0, 5), cell(2, 5)]);
	assert.equal(new Set([none.color, some.color, most.color]).size, 3, JSON.stringify([none.color, some.color, most.color]));
	await page.mouse.move(most.x + most.w / 2, most.y + most.h / 2);
	await until(page, 'heat-tooltip', /\.100 – \d\d:\d\d:\d\d\.1202\.00 cores · 40\.0 ms · 3\.33 % of its column/);
	assert.match((await page.getByTestId('heat-legend').textContent())!, /^0\s+2\.00 cores$/);
	await page.getByTestId('theme-toggle').click();
	await page.getByTestId('theme-toggle').click();
	await page.waitForFunction((before) => window.__heat!(1, 5).color !== before, none.color);
	await page.getByTestId('column-minute').click();
	await page.waitForFunction(() => /column=1m/.test(location.hash));
	await page.getByTestId('range-24h').click();
	await page.waitForFunction(() => (document.querySelector('[data-testid=column-second]') as HTMLButtonElement).disabled);
	await page.getByTestId('chart-line').click();
	await page.waitForFunction(() => document.querySelector('.series-plot canvas') && !/chart=/.test(location.hash));
}, { colorScheme: 'dark' });

for (const scheme of ['dark', 'light'] as const)
	scenario(`the heat map is ${scheme} where there is nothing`, '#range=5m&chart=heat', async (page) => {
		await page.waitForFunction(() => window.__heat);
		const color = await page.evaluate(() => window.__heat!(1, 5).color);
		assert.equal(color, scheme === 'dark' ? 'rgb(21,25,32)' : 'rgb(255,255,255)');
	}, { colorScheme: scheme });

scenario('a drag over the heat map chooses whole columns as the range', '#range=5m&chart=heat', async (page) => {
	await page.waitForFunction(() => window.__heat);
	const [a, b] = await page.evaluate(() => [window.__heat!(100, 30), window.__heat!(109, 10)]);
	await page.mouse.move(a.x + a.w / 2, a.y);
	await page.mouse.down();
	await page.mouse.move(b.x + b.w / 2, b.y, { steps: 3 });
	await page.getByTestId('heat-chosen').waitFor();
	const answer = page.waitForResponse((r) => /\/tree\?.*from=\d+&to=\d+/.test(r.url()));
	await page.mouse.up();
	await answer;
	const [, from, to] = /from=(\d+)&to=(\d+)/.exec(fragmentOf(page))!.map(Number);
	assert.ok(to - from === 10_000 && from % 1000 === 0, `${from} ${to}`);
	assert.ok(server.asked.some((x) => x.startsWith('/api/v1/tree?') && x.includes(`from=${from}&to=${to}`)));
	await page.goBack();
	await page.waitForFunction(() => /range=5m/.test(location.hash));
});

scenario('the heat map is walked and chosen from by keyboard', '#range=5m&chart=heat&live=0', async (page) => {
	await page.waitForFunction(() => window.__heat);
	const heat = page.getByTestId('heat');
	assert.match((await heat.getAttribute('aria-label'))!, /^Heat map of CPU of all services: 30\d columns, 50 rows; highest 2\.00 cores/);
	await heat.focus();
	await page.keyboard.press('Home');
	for (const key of ['Home', 'ArrowRight', 'ArrowRight', ...Array<string>(5).fill('ArrowUp')]) await page.keyboard.press(key);
	await until(page, 'heat-live', /2\.00 cores · 40\.0 ms/);
	await page.keyboard.press('Shift+ArrowRight');
	await page.getByTestId('heat-chosen').waitFor();
	await page.keyboard.press('Escape');
	await page.getByTestId('heat-chosen').waitFor({ state: 'detached' });
	await page.keyboard.press('Shift+ArrowRight');
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => /from=\d+&to=\d+/.test(location.hash));
	const [, from, to] = /from=(\d+)&to=(\d+)/.exec(fragmentOf(page))!.map(Number);
	assert.equal(to - from, 2000);
	await page.locator('[data-fact=whole]').waitFor();
});

scenario('new data move the heat map, not what is marked in it', '#range=5m&chart=heat', async (page) => {
	await page.waitForFunction(() => window.__heat);
	await page.getByTestId('heat').focus();
	for (const key of ['End', 'PageUp', 'PageUp']) await page.keyboard.press(key);
	const said = (): Promise<string> => page.getByTestId('heat-live').textContent().then((t) => t!.split(' – ')[0]);
	const before = await said();
	const first = await page.evaluate(() => document.querySelector('[data-testid=heat]')!.getAttribute('aria-label'));
	/* The mock's columns go with the clock: within a few rounds they have moved. */
	for (let i = 0; i < 3; i++) {
		const answer = page.waitForResponse((r) => r.url().includes('/heatmap?'));
		server.news();
		await answer;
	}
	await page.waitForFunction((old) => document.querySelector('[data-testid=heat]')!.getAttribute('aria-label') !== old, first);
	assert.equal(await said(), before);
});

scenario('samples without times are no empty picture but a sentence', '#range=5m&chart=heat', async (page) => {
	server.data.timedShare = 0;
	await page.reload();
	await until(page, 'heat-nothing', /is not known.*nothing to show below a minute/);
	assert.equal(await page.getByTestId('heat-canvas').count(), 0);
	server.data.timedShare = 0.75;
	await page.reload();
	await until(page, 'heat-spread', /^25\.0 % has no times of its own and is spread evenly$/);
	await page.getByTestId('heat-canvas').waitFor();
});

scenario('a comparison shows what grew, shrank and is gone, and what may be chance', '#range=1h', async (page) => {
	await untilBox(page, 'write');
	const before = server.asked.length;
	await page.getByTestId('compare').click();
	await untilBox(page, 'grown');
	assert.equal(fragmentOf(page), '#range=1h&base=before');
	const asked = server.asked.slice(before).filter((a) => a.startsWith('/api/v1/diff?')).map((a) => new URL(a, base).searchParams);
	assert.ok(asked.length >= 2 && asked.every((p) => Number(p.get('base_to')) === Number(p.get('from')) &&
		Number(p.get('base_to')) - Number(p.get('base_from')) === 3_600_000), 'as long a time, right before');
	await page.getByTestId('diff-legend').waitFor();
	const box = (await page.evaluate(() => window.__flame!.boxAt('grown')))!;
	await page.mouse.move(box.x + 5, box.y + 5);
	await until(page, 'tooltip', /A 40\.00 % · B 80\.00 % · \+40\.00 points, 95 % −1\.00 to \+2\.00, significant/);
	const rows = (): Promise<string[]> => page.getByTestId('diff-row').evaluateAll((list) => list.map((r) => (r as HTMLElement).dataset['name']!));
	assert.deepEqual(await rows(), ['old', 'grown', 'steady']);
	assert.match((await page.locator('[data-testid=diff-row][data-name=steady]').textContent())!, /18\.0 %20\.0 %may be chance \+2\.00/);
	await page.getByTestId('moved-shrank').click();
	assert.deepEqual(await rows(), ['old']);
	await page.getByTestId('width-gone').click();
	await untilBox(page, 'old');
	assert.equal(fragmentOf(page), '#range=1h&base=before&width=gone&moved=shrank');
	await page.getByTestId('compare').click();
	await untilBox(page, 'write');
	await page.getByTestId('top-row').first().waitFor();
});

scenario('the baseline is chosen by keyboard, and what is shown can become it', '#base=before', async (page) => {
	await until(page, 'side-a', /\d\d:\d\d:\d\d – \d\d:\d\d:\d\d · 1,000 samples/);
	await page.locator('summary', { has: page.getByTestId('base-open') }).press('Enter');
	await page.getByTestId('base-24h').press('Enter');
	await page.waitForFunction(() => /base=24h/.test(location.hash));
	await until(page, 'base-open', /^1 day earlier$/);
	await page.locator('summary', { has: page.getByTestId('base-open') }).press('Enter');
	await page.getByTestId('base-shown').press('Enter');
	await page.waitForFunction(() => /base=\d+\.\.\d+/.test(location.hash));
	const [, from, to] = /base=(\d+)\.\.(\d+)/.exec(fragmentOf(page))!.map(Number);
	assert.equal(to - from, 900_000);
});

scenario('the profiles with the most of a function lead to themselves', '#fn=sort', async (page) => {
	await page.getByTestId('list-profiles').click();
	await page.getByTestId('profile-row').first().waitFor();
	assert.ok(server.asked.some((a) => a.startsWith('/api/v1/profiles?') && a.includes('focus=%5Esort%24')));
	assert.equal(await page.getByTestId('profiles-of').textContent(), 'by sort');
	assert.match((await page.getByTestId('profile-row').first().textContent())!, /api · web-110 s9\.00 s/);
	await page.getByTestId('selected-fn').getByRole('button').click();
	await until(page, 'profiles-of', /^by all that is shown$/);
	await page.getByTestId('profile-row').nth(1).getByRole('button').press('Enter');
	await page.waitForFunction(() => /from=1700000060000&to=1700000070000/.test(location.hash));
	assert.equal(fragmentOf(page), '#service=api&label=host:web-2&from=1700000060000&to=1700000070000&list=profiles');
	await page.goBack();
	await page.waitForFunction(() => !/from=/.test(location.hash));
});

scenario('what is in no profile is said', '#fn=nowhere&list=profiles', async (page) => {
	await page.getByText('In no profile is any of it.').waitFor();
});

for (const [what, fragment, testid] of [['heat map', '#chart=heat', 'heat'], ['comparison', '#base=1h', 'diff-row'], ['profiles', '#list=profiles', 'profile-row']] as const)
	scenario(`fits 360 px with the ${what}`, fragment, async (page) => {
		const shown = page.getByTestId(testid).first();
		await shown.waitFor();
		assert.ok(isWithin((await shown.boundingBox())!, 360));
		assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
	}, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });

scenario('says what was lost, refused and left out', '', async (page) => {
	server.data.quality = { ...QUALITY, lost: { ring_full: 7, throttled: 1 }, lost_total: 8, truncated: 3, unnamed_share: 0.4, unwind: [] };
	server.data.status = { accepting: false, reason: 'disk limit 10 GB reached (--disk-limit)' };
	nodes = [...nodesOf('a 60'), { frame: null, depth: 1, self: 40, pruned: 12 }];
	await page.reload();
	await page.locator('[data-fact=pruned]').waitFor();
	await page.locator('[data-fact=refusing]').waitFor();
	const text = (await page.getByTestId('quality-strip').textContent())!;
	assert.match(text, /server refuses data: disk limit 10 GB reached/);
	assert.match(text, /8 lost \(0\.13 %\): 7: the ring between kernel and agent was full; 1: the kernel throttled sampling/);
	assert.match(text, /3 stacks cut.*40\.0 % without a name.*40\.0 % in small frames left out/);
});

scenario('says which part is incomplete and why, and leads to it', '#zoom=api', async (page) => {
	const strip = page.getByTestId('quality-strip');
	server.data.quality = { ...QUALITY, unwind: ['frame-pointers'] };
	await page.reload();
	await strip.getByText('not known whether stacks are complete').waitFor();
	server.data.quality = {
		...QUALITY, unwind: ['tables', 'frame-pointers'],
		stack_ends: [{ reason: 'jit', text: 'code generated at run time', value: 40 }, { reason: 'gone', text: 'the process ended', value: 10 }, { reason: null, text: 'others', value: 5 }],
	};
	nodes = [...nodesOf('api;main 945'), { frame: { name: '[incomplete: jit]', kind: 8 }, depth: 2, self: 55 }];
	await page.reload();
	await strip.getByText('5.50 % in incomplete stacks').press('Enter');
	const reasons = await page.getByTestId('stack-ends').locator('li').allTextContents();
	assert.deepEqual(reasons, ['4.00 %code generated at run time', '1.00 %the process ended', '0.50 %others']);
	assert.equal(await page.getByTestId('stack-ends').locator('a').count(), 2);
	await strip.getByText('Of stacks walked by frame pointers it is not known').waitFor();
	const answer = page.waitForResponse((r) => r.url().includes('/tree?') && r.url().includes('label=stack_end%3Ajit'));
	await page.getByRole('link', { name: 'code generated' }).press('Enter');
	await answer;
	assert.equal(fragmentOf(page), '#label=stack_end:jit');
	await page.getByTestId('stack-ends').waitFor({ state: 'detached' });
	await page.goBack();
	await page.waitForFunction(() => location.hash === '#zoom=api');
	await untilBox(page, '[incomplete: jit]');
	/* The box moves while the picture follows the address. */
	const trust = page.getByTestId('tooltip-trust');
	for (let i = 0; i < 500 && (await trust.count()) === 0; i++) {
		const box = await page.evaluate(() => window.__flame!.boxAt('[incomplete: jit]'));
		if (box) await page.mouse.move(box.x + 5 + (i % 2), box.y + 5);
	}
	assert.match((await trust.textContent())!, /Callers are missing from here on: code generated at run time$/);
});

scenario('fits 360 px with the reasons open', '', async (page) => {
	server.data.quality = { ...QUALITY, lost: { ring_full: 1 }, stack_ends: [{ reason: 'jit', text: 'code generated at run time', value: 40 }] };
	await page.reload();
	await page.getByText('4.00 % in incomplete stacks').click();
	const box = (await page.getByTestId('stack-ends').boundingBox())!;
	assert.ok(box.x >= 0 && box.x + box.width <= 360, `${box.x} + ${box.width}`);
	assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
}, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });

scenario('an empty store says what to wait for and what to do', '', async (page) => {
	nodes = [{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 }];
	server.data.status = { profiles: 0, newest_ms: null };
	await page.reload();
	await page.getByText('Waiting for the first window, about 10 s').waitFor();
	server.data.status = {};
	await page.reload();
	await page.getByText('No samples here').waitFor();
	await page.getByText('Last 24 hours').click();
	await page.waitForFunction(() => /range=24h/.test(location.hash));
});

scenario("shows the server's own words when a question fails", '', async (page) => {
	server.data.fail = { status: 400, detail: "label: 'host' needs a value" };
	await page.getByTestId('range-6h').click();
	await page.getByTestId('problem').waitFor();
	assert.equal(await page.getByTestId('problem').textContent(), "label: 'host' needs a value");
	server.data.fail = null;
	await page.getByTestId('range-1h').click();
	await page.getByTestId('problem').waitFor({ state: 'detached' });
});

scenario('never grows beyond the window, however many functions and levels', '', async (page) => {
	nodes = sampleNodes(30_000, 8, ['api']);
	for (let d = 0; d < 3_000; d++) nodes.push({ frame: { name: `deep${d}` }, depth: d + 1, self: d === 2_999 ? 1e12 : 0 });
	await page.reload();
	await untilBox(page, 'deep0');
	const size = await page.evaluate(() => [document.documentElement.scrollHeight, document.querySelector('[data-testid=flame-canvas]')!.clientHeight]);
	assert.equal(size[0], 800);
	assert.ok(size[1] < 700, `canvas of ${size[1]} px`);
	assert.ok((await page.getByTestId('top-row').count()) < 80, 'rows out of sight are not in the page');
	await page.evaluate(() => document.querySelector('.flame-scroll')!.scrollTo(0, 2_000 * 19));
	await untilBox(page, 'deep2004');
});

scenario('fits 360 px without scrolling sideways', '', async (page) => {
	await untilBox(page, 'main');
	assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
}, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });

for (const [what, options] of [['dark', { colorScheme: 'dark' }], ['light', { colorScheme: 'light' }]] as const)
	scenario(`follows the system's ${what} theme, until told otherwise`, '', async (page) => {
		assert.equal(await page.evaluate(() => document.documentElement.dataset['theme']), what);
		await page.getByTestId('theme-toggle').click();
		await page.getByTestId('theme-toggle').click();
		assert.equal(await page.evaluate(() => document.documentElement.dataset['theme']), 'light');
		assert.equal(fragmentOf(page), '#theme=light');
	}, options);

scenario('draws in forced colours', '#chart=heat&range=5m', async (page) => {
	await untilBox(page, 'main');
	assert.ok((await boxNames(page)).length > 5);
	await page.waitForFunction(() => window.__heat && window.__heat(1, 5).color !== window.__heat(0, 5).color);
}, { forcedColors: 'active' });

/* Wall time between frames while zooming in and out and while hovering. Other
 * work on the machine makes frames late: the best of a few tries counts, and
 * where even a page at rest misses frames only the script's time is judged. */
const FRAME_LIMIT_MS = 20;
const SCRIPT_LIMIT_MS = 10;
const TRIES = 8;

interface FrameTimes {
	wall: number;
	script: number;
	frames: number;
}

/* 95th percentiles while `move` runs. */
async function frameTimes(page: Page, move: (page: Page) => Promise<void>): Promise<FrameTimes> {
	const from = await page.evaluate(() => {
		const times: number[] = [];
		let last = performance.now();
		const tick = (now: number): void => {
			times.push(now - last);
			last = now;
			if (times.length < 10_000) requestAnimationFrame(tick);
		};
		requestAnimationFrame(tick);
		Object.assign(window, { __wall: times });
		return window.__flame!.frameCount();
	});
	await move(page);
	return page.evaluate((first) => {
		const p95 = (list: number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length * 0.95)] ?? 0;
		const wall = (window as unknown as { __wall: number[] }).__wall;
		const painted = window.__flame!.frameCount() - first;
		return { wall: p95(wall.slice(2)), script: p95(window.__flame!.frameTimes().slice(-painted || Infinity)), frames: wall.length };
	}, from);
}

const frames = (page: Page, n: number): Promise<unknown> => page.evaluate((want) => new Promise((done) => {
	const tick = (left: number): void => void requestAnimationFrame(() => (left > 0 ? tick(left - 1) : done(null)));
	tick(want);
}), n);

async function zoomAndHover(page: Page): Promise<void> {
	const box = (await page.getByTestId('flame-canvas').boundingBox())!;
	for (let round = 0; round < 4; round++) {
		for (let i = 0; i < 25; i++) await page.mouse.move(box.x + 20 + i * (box.width / 30), box.y + 30 + ((i * 37) % 200));
		await page.mouse.click(box.x + box.width * 0.1, box.y + 19 * (3 + round) + 8);
		await frames(page, 15);
		await page.keyboard.press('Escape');
		await frames(page, 15);
	}
}

for (const [what, make] of [
	['100,000 nodes, all dotted', () => sampleNodes(160_000, 12, ['a', 'b', 'c', 'd']).map((n) => ({ ...n, found: 16 }))],
	['81,000 narrow boxes', () => narrowTowers(1500, 54)],
] as const)
	cases.push(test(`speed: zoom and hover with ${what}: p95 of a frame under ${FRAME_LIMIT_MS} ms`, { skip, timeout: 120_000 }, async (t) => {
		nodes = make();
		assert.ok(nodes.length >= 81_000, `${nodes.length} nodes`);
		await withPage('#live=0', { viewport: { width: 1920, height: 1000 }, reducedMotion: 'no-preference' }, async (page) => {
			await untilBox(page, 'all');
			const tries: FrameTimes[] = [];
			let rest = 0;
			for (let i = 0; i < TRIES && !tries.some((f) => f.wall < FRAME_LIMIT_MS && f.script < SCRIPT_LIMIT_MS); i++) {
				rest = (await frameTimes(page, (p) => frames(p, 60) as Promise<void>)).wall;
				const have = await frameTimes(page, zoomAndHover);
				tries.push(have);
				t.diagnostic(`${nodes.length} nodes: p95 ${have.wall.toFixed(1)} ms wall (${rest.toFixed(1)} at rest), ` +
					`${have.script.toFixed(1)} ms script, ${have.frames} frames`);
			}
			assert.ok(Math.min(...tries.map((f) => f.script)) < SCRIPT_LIMIT_MS, 'script');
			if (rest >= FRAME_LIMIT_MS) t.diagnostic('the machine is too busy to judge wall time');
			else assert.ok(Math.min(...tries.map((f) => f.wall)) < FRAME_LIMIT_MS, 'wall');
		});
	}));

cases.push(test('viewer: one file, opened from disk, zooms and searches', { skip, timeout: 60_000 }, async () => {
	const folder = mkdtempSync(join(tmpdir(), 'wick-viewer-'));
	try {
		const slab = Buffer.from(slabOf(nodesOf(FOLDED))).toString('base64');
		const html = readFileSync(join(DIST_DIR, 'viewer.html'), 'utf8').replace('@@WICK_TITLE@@', 'api &lt;b&gt;').replace('@@WICK_SLAB@@', slab);
		writeFileSync(join(folder, 'v.html'), html);
		await withPage(`file://${folder}/v.html`, {}, async (page) => {
			assert.equal(await page.locator('h1').textContent(), 'api <b>');
			await clickBox(page, 'parse');
			await untilZoom(page, 'api;main;parse');
			await page.getByTestId('search-input').fill('read');
			await page.waitForFunction(() => document.querySelector('[data-testid=search-share]')?.textContent?.startsWith('20.0 %, 40.0 % of view'));
			assert.equal(await page.getByTestId('top-row').first().getAttribute('data-name'), 'parse');
			await page.keyboard.press('Enter');
			await page.keyboard.press('Escape');
			await untilZoom(page, '');
		});
	} finally {
		rmSync(folder, { recursive: true });
	}
}));

cases.push(test('viewer: a comparison shows both sides and what is gone', { skip, timeout: 60_000 }, async () => {
	const folder = mkdtempSync(join(tmpdir(), 'wick-diff-'));
	try {
		const nodes = [
			{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 },
			{ frame: { name: 'grown' }, depth: 1, self: 80 },
			{ frame: { name: 'old' }, depth: 1, self: 0 },
		];
		const slab = Buffer.from(diffSlab(nodes, [0, 50, 50], [0, 2, 2])).toString('base64');
		const html = readFileSync(join(DIST_DIR, 'viewer.html'), 'utf8').replace('@@WICK_TITLE@@', 'd').replace('@@WICK_SLAB@@', slab);
		writeFileSync(join(folder, 'd.html'), html);
		await withPage(`file://${folder}/d.html`, {}, async (page) => {
			assert.match((await page.getByTestId('diff-legend').textContent())!, /more in B.*gone/);
			assert.equal(await page.getByTestId('top-row').count(), 1);
			await page.getByTestId('width-gone').click();
			assert.equal(await page.getByTestId('top-row').first().getAttribute('data-name'), 'old');
			await page.getByTestId('width-a').click();
			assert.equal(await page.getByTestId('top-row').count(), 2);
		});
	} finally {
		rmSync(folder, { recursive: true });
	}
}));

await Promise.all(cases);
if (browser) {
	await browser.close();
	await server.stop();
}
