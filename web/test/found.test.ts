/* SPDX-License-Identifier: Apache-2.0 */
/* What a reader learns of how far frames can be trusted. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import ends from '../../bpf/stack_end.def';
import rows from '../../src/model/found.def';
import { SlabError, slabRead } from '../src/api/slab';
import { diffTree } from '../src/logic/diff';
import { foundOf, foundText, hasDoubtful, isDoubtful, isDoubtfulMask } from '../src/logic/found';
import { incompleteShare, incompleteText, stateOfEnd } from '../src/logic/stack_end';
import { nodeName, treeOf } from '../src/logic/tree';
import { stateDefault, stateFormat, stateParse } from '../src/logic/url';
import { QUALITY } from './mock_server';
import { diffSlab, nodesOf, slabColumns, slabOf, slabPack, type Node } from './slab_writer';

declare const WEB_DIR: string;

const [UNKNOWN, REGISTER, TABLE, , FP, HEURISTIC] = rows.map((_, i) => 1 << i);
const NODES: Node[] = nodesOf('main;parse;read 30\nmain;write 25').map((n, i) => ({ ...n, found: [0, TABLE | FP, FP, REGISTER, UNKNOWN][i] }));

/* An independent look at the table: what the build makes of it is what stands there. */
test('words: the page has the rows of the tables, and so have the documents', () => {
	const read = (file: string): string => readFileSync(join(WEB_DIR, '..', file), 'utf8');
	const lines = read('src/model/found.def').split('\n').filter((line) => line.startsWith('FOUND('));
	assert.deepEqual(lines, rows.map(([id, name, text]) => `FOUND(${id}, "${name}", "${text}")`));
	const endLines = read('bpf/stack_end.def').split('\n').filter((line) => line.startsWith('STACK_END('));
	assert.deepEqual(endLines, ends.map(([id, name, text]) => `STACK_END(${id}, "${name}", "${text}")`));
	const known = rows.slice(1);
	const formats = read('docs/formats.md');
	known.forEach(([, name, text], i) => assert.ok(formats.includes(`| ${i + 1} | \`${name}\` | ${text} |`), name));
	const bits = known.map(([, name], i) => `${2 << i} \`${name}\``).join(', ');
	assert.ok(read('docs/slab-format.md').includes(`1 not known, ${bits}`), bits);
});

test('found: the ways of all frames of a box in words, and what they are worth', () => {
	assert.equal(foundText(0), '');
	assert.equal(foundText(UNKNOWN), '');
	assert.equal(foundText(TABLE), 'Found: by the unwind information of the function it called');
	assert.equal(foundText(FP), 'Found: by a frame pointer (less certain)');
	assert.match(foundText(FP | HEURISTIC), /^Found: by a frame pointer; guessed: .* \(less certain\)$/);
	assert.equal(foundText(REGISTER | FP), 'Found: the thread was there; by a frame pointer');
	assert.equal(foundText(FP | UNKNOWN), 'Found: by a frame pointer; of some it is not known');
	assert.equal(foundText(0x80), '', 'a way of the future');
	assert.equal(foundText(TABLE | 0x80), `${foundText(TABLE)}; of some it is not known`);
});

test('found: only what was found in no better way is doubtful', () => {
	const doubtful = [FP, HEURISTIC, FP | HEURISTIC];
	for (let mask = 0; mask < 256; mask++) assert.equal(isDoubtfulMask(mask), doubtful.includes(mask), String(mask));
});

test('found: a column of a slab, when it is there', () => {
	const t = treeOf(slabRead(slabOf(NODES)));
	const names = (of: (node: number) => boolean): string[] => Array.from({ length: t.n }, (_, i) => i).filter(of).map((i) => nodeName(t, i));
	assert.deepEqual(names((i) => isDoubtful(t, i)), ['parse']);
	assert.ok(hasDoubtful(t));
	const old = treeOf(slabRead(slabOf(nodesOf('main 1'))));
	assert.equal(foundOf(old, 1), 0);
	assert.ok(!hasDoubtful(old) && !isDoubtful(old, 1));
	const wrong = slabPack([...slabColumns(nodesOf('main 1')), ['node.found', new Uint8Array(1)]]);
	assert.throws(() => slabRead(wrong), (e: Error) => e instanceof SlabError && /node\.found has 1 elements/.test(e.message));
});

test('found: it stays with its box in every order of a comparison', () => {
	const base = NODES.map((n, i) => (n.frame?.name === 'write' ? 90 : i));
	const slab = slabRead(diffSlab(NODES, base, NODES.map(() => 0)));
	for (const width of ['a', 'b', 'gone'] as const) {
		const t = diffTree(slab, width);
		const found = Object.fromEntries(Array.from({ length: t.n }, (_, i) => [nodeName(t, i), foundOf(t, i)]));
		assert.deepEqual(found, { all: 0, main: TABLE | FP, parse: FP, read: REGISTER, write: UNKNOWN }, width);
	}
});

test('incomplete: the frame that stands for the missing ones says why they are', () => {
	for (const [, name, text] of ends) assert.equal(incompleteText(`[incomplete: ${name}]`, 'synthetic'), `Callers are missing from here on: ${text}`);
	assert.match(incompleteText('[incomplete: of_the_future]', 'synthetic'), /: of_the_future$/);
	assert.equal(incompleteText('[incomplete: jit]', 'user'), '', 'a function may be called anything');
	assert.equal(incompleteText('[process gone]', 'synthetic'), '');
});

test('incomplete: the share of all reasons, and a link to the stacks of one', () => {
	const q = { ...QUALITY, stack_ends: [{ reason: 'jit', text: '', value: 30 }, { reason: null, text: '', value: 10 }] };
	assert.equal(incompleteShare(q, 200), 0.2);
	assert.equal(incompleteShare(q, 0), 0);
	assert.equal(incompleteShare(QUALITY, 200), 0);
	const s = { ...stateDefault(), service: 'api', zoom: ['main'], labels: [['stack_end', 'gone'], ['host', 'a']] as [string, string][] };
	const fragment = stateFormat(stateOfEnd(s, 'jit'));
	assert.equal(fragment, 'service=api&label=host:a&label=stack_end:jit');
	assert.deepEqual(stateParse(fragment).labels, [['host', 'a'], ['stack_end', 'jit']]);
});
