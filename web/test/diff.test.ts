/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlabError, slabRead } from '../src/api/slab';
import { changeColors, changeStep, N_CHANGES } from '../src/logic/color';
import { changeFormat, changeOf, diffTree, hasDiff, isGone, type DiffTree } from '../src/logic/diff';
import { nodeName } from '../src/logic/tree';
import { diffSlab, slabColumns, slabPack, type Node } from './slab_writer';

/* main has grown, old is gone, fresh is new, same is not significant. */
const NODES: Node[] = [
	{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 },
	{ frame: { name: 'main' }, depth: 1, self: 60 },
	{ frame: { name: 'fresh' }, depth: 2, self: 20 },
	{ frame: { name: 'old' }, depth: 2, self: 0 },
	{ frame: { name: 'same' }, depth: 1, self: 20 },
];
const slab = () => slabRead(diffSlab(NODES, [0, 10, 0, 15, 25], [0, 2, 2, 2, 1]));
const names = (t: DiffTree): string[] => Array.from({ length: t.n }, (_, i) => nodeName(t, i));

test('diff: each width has its children by falling width', () => {
	const s = slab();
	assert.ok(hasDiff(s));
	const b = diffTree(s, 'b');
	assert.deepEqual(names(b), ['all', 'main', 'fresh', 'old', 'same']);
	assert.deepEqual([...b.total], [100, 80, 20, 0, 20]);
	const a = diffTree(s, 'a');
	assert.deepEqual([...a.total].slice(0, 3), [50, 25, 15]);
	assert.deepEqual(names(a), ['all', 'main', 'old', 'fresh', 'same']);
	const gone = diffTree(s, 'gone');
	assert.deepEqual([...gone.total], [15, 15, 15, 0, 0]);
	assert.deepEqual(names(gone).slice(0, 3), ['all', 'main', 'old']);
});

test('diff: shares stay with their nodes in every order', () => {
	for (const width of ['b', 'a', 'gone'] as const) {
		const t = diffTree(slab(), width);
		const of = (name: string): number => names(t).indexOf(name);
		assert.deepEqual([t.diff.shareA[of('main')], t.diff.shareB[of('main')]], [0.5, 0.8], width);
		assert.ok(isGone(t.diff, of('old')) && !isGone(t.diff, of('fresh')));
		assert.equal(changeOf(t.diff, of('old')), -1);
		assert.equal(changeOf(t.diff, of('fresh')), 1);
		assert.equal(changeOf(t.diff, of('same')), 0, 'not significant has no colour');
		assert.equal(changeOf(t.diff, 0), 0);
	}
});

test('diff: the change is said in words, too', () => {
	const t = diffTree(slab(), 'b');
	assert.equal(changeFormat(t.diff, 1), 'A 50.00 % · B 80.00 % · +30.00 points, 95 % −1.00 to +2.00, significant');
	assert.match(changeFormat(t.diff, 3), /−30.00 points.*, gone$/);
	assert.match(changeFormat(t.diff, 2), /, new$/);
	assert.match(changeFormat(t.diff, 4), /not significant/);
});

test('diff: colours run from less over nothing to more', () => {
	assert.equal(changeColors(true).length, 2 * N_CHANGES + 1);
	assert.equal(changeStep(0), N_CHANGES);
	assert.equal(changeStep(-1), 0);
	assert.equal(changeStep(1), 2 * N_CHANGES);
	assert.equal(changeStep(0.001), N_CHANGES + 1);
});

test('diff: columns that do not fit are refused', () => {
	const columns = slabColumns(NODES, { diff: { whole_a: 1, whole_b: 1 } });
	assert.throws(() => slabRead(slabPack([...columns, ['node.base', new Float64Array(5)]])), SlabError);
	const rest = [['node.low', new Float64Array(5)], ['node.high', new Float64Array(5)], ['node.verdict', new Uint8Array(5)]] as [string, ArrayBufferView][];
	assert.throws(() => slabRead(slabPack([...columns, ['node.base', new Float64Array(4)], ...rest])), SlabError);
	assert.throws(() => slabRead(slabPack([...columns, ['node.base', new Float64Array(5).fill(NaN)], ...rest])), SlabError);
	assert.throws(() => slabRead(slabPack([...slabColumns(NODES), ['node.base', new Float64Array(5)], ...rest])), SlabError);
});
