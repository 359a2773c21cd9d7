/* SPDX-License-Identifier: Apache-2.0 */
/* What the page costs before it shows its first flame graph, and in all. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

declare const DIST_DIR: string;

const SHELL_MAX = 45 * 1024;
const ALL_MAX = 70 * 1024;
const VIEWER_MAX = 40 * 1024;

const gz = (file: string): number => gzipSync(readFileSync(join(DIST_DIR, file)), { level: 9 }).length;
const assets = JSON.parse(readFileSync(join(DIST_DIR, 'manifest.json'), 'utf8')) as { path: string; file: string }[];

test('size: the shell (page, its script and style) is at most 45 KiB gz', (t) => {
	const size = assets.filter((a) => /^(index|app)\./.test(a.file)).reduce((sum, a) => sum + gz(a.file), 0);
	t.diagnostic(`shell ${size} bytes gz`);
	assert.ok(size <= SHELL_MAX, `${size} bytes`);
});

test('size: all of the page is at most 70 KiB gz', (t) => {
	const size = assets.reduce((sum, a) => sum + gz(a.file), 0);
	t.diagnostic(`everything ${size} bytes gz`);
	assert.ok(size <= ALL_MAX, `${size} bytes`);
});

test('size: the empty viewer is at most 40 KiB gz and has each placeholder once', () => {
	const html = readFileSync(join(DIST_DIR, 'viewer.html'), 'utf8');
	assert.ok(gz('viewer.html') <= VIEWER_MAX);
	for (const name of ['@@WICK_TITLE@@', '@@WICK_SLAB@@']) assert.equal(html.split(name).length, 2, name);
});

test('page: nothing inline, nothing from elsewhere', () => {
	const html = readFileSync(join(DIST_DIR, 'index.html'), 'utf8');
	assert.ok(!/<script(?![^>]*src=)|<style| style=| on[a-z]+=/.test(html));
	for (const a of assets)
		for (const [url] of readFileSync(join(DIST_DIR, a.file), 'utf8').matchAll(/https?:\/\/[\w.-]+/g))
			assert.ok(/w3\.org$/.test(url), `${a.file}: ${url}`);
});
