/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { slabRead } from '../src/api/slab';
import { BOX_RUN, MARK_MATCH, MAX_BOXES, MIN_WIDTH, TINY_WIDTH, displayListNew, layout, nodeAt, viewOf, type DisplayList, type View } from '../src/logic/layout';
import { isPruned, nodeName, treeOf, type Tree } from '../src/logic/tree';
import { narrowTowers, sampleNodes } from './sample_tree';
import { nodesOf, slabOf, type Node } from './slab_writer';

const treeFrom = (nodes: readonly Node[]): Tree => treeOf(slabRead(slabOf(nodes)));
const ALL_ROWS = { first: 0, count: 200 };

function boxes(t: Tree, view: View, width: number, rows = ALL_ROWS, marks: Uint8Array | null = null): { list: DisplayList; names: string[] } {
	const list = displayListNew();
	layout(t, view, width, rows, marks, list);
	return { list, names: Array.from(list.node.subarray(0, list.n), (i) => nodeName(t, i)) };
}

test('layout: the picture of a small tree', () => {
	const t = treeFrom(nodesOf('main;parse 30\nmain;parse;read 10\nmain;write 25\nidle 5'));
	const { list, names } = boxes(t, viewOf(t, 0), 700);
	const rows = names.map((name, i) => [name, list.row[i], list.x[i], list.w[i]]);
	assert.deepEqual(rows, [['all', 0, 0, 700], ['main', 1, 0, 650], ['parse', 2, 0, 400], ['read', 3, 0, 100], ['write', 2, 400, 250], ['idle', 1, 650, 50]]);
});

test('layout: zoomed, a node spans the width and starts in row 0', () => {
	const t = treeFrom(nodesOf('main;parse 30\nmain;write 10\nidle 60'));
	const main = 2; /* after idle, which is larger */
	assert.equal(nodeName(t, main), 'main');
	const { list, names } = boxes(t, viewOf(t, main), 400);
	assert.deepEqual(names, ['main', 'parse', 'write']);
	assert.deepEqual([...list.row.subarray(0, 3)], [0, 1, 1]);
	assert.deepEqual([...list.w.subarray(0, 3)], [400, 300, 100]);
});

/* Every box of at least TINY_WIDTH whose callers are all drawn, found by plain
 * means, is in the list at its place; nothing else but runs is. */
test('layout: agrees with a plain layout on a tree of 30,000', () => {
	const t = treeFrom(sampleNodes(30_000, 9, ['a', 'b', 'c']));
	const width = 1900;
	const { list } = boxes(t, viewOf(t, 0), width);
	const scale = width / t.total[0];
	const want = new Map<number, number>();
	for (let i = 0; i < t.n; i++) {
		if (t.depth[i] >= ALL_ROWS.count || t.total[i] * scale < TINY_WIDTH) continue;
		want.set(i, t.left[i] * scale);
	}
	let drawn = 0;
	for (let k = 0; k < list.n; k++) {
		if ((list.flags[k] & BOX_RUN) !== 0 || list.w[k] < TINY_WIDTH) continue;
		drawn++;
		const x = want.get(list.node[k]);
		assert.ok(x !== undefined && Math.abs(x - list.x[k]) < 0.01, `node ${list.node[k]}`);
		assert.equal(list.row[k], t.depth[list.node[k]]);
	}
	assert.equal(drawn, want.size);
	assert.ok(list.visited < 15_000, `visited ${list.visited}`);
});

test('layout: boxes of a row never overlap and stay in the picture', () => {
	const t = treeFrom(sampleNodes(30_000, 21, ['a', 'b', 'c']));
	for (const root of [0, 1, 2, 40]) {
		const { list } = boxes(t, viewOf(t, root), 1200);
		const ends = new Map<number, number>();
		for (let k = 0; k < list.n; k++) {
			assert.ok(list.x[k] >= (ends.get(list.row[k]) ?? -1) - 0.01, `row ${list.row[k]} at ${list.x[k]}`);
			ends.set(list.row[k], list.x[k] + list.w[k]);
			assert.ok(list.x[k] + list.w[k] <= 1201.01);
		}
	}
});

test('layout: 100,000 children cost what is seen, not what is there', () => {
	const nodes: Node[] = [{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 }];
	for (let i = 0; i < 100_000; i++) nodes.push({ frame: { name: `f${i % 5000}` }, depth: 1, self: 1e6 / (i + 1) });
	const t = treeFrom(nodes);
	const { list } = boxes(t, viewOf(t, 0), 1000);
	assert.ok(list.visited < 300, `visited ${list.visited}`);
	const last = list.n - 1;
	assert.ok(list.flags[last] & BOX_RUN);
	assert.ok(Math.abs(list.x[last] + list.w[last] - 1000) < 1.1, 'the run reaches the end of the row');
});

test('layout: 81,000 narrow boxes become one run per row', () => {
	const t = treeFrom(narrowTowers(1500, 54));
	const { list } = boxes(t, viewOf(t, 0), 1920, { first: 0, count: 60 });
	assert.ok(list.n <= 2 * 55, `${list.n} boxes`);
});

test('layout: never more than MAX_BOXES, whatever comes', () => {
	for (const [towers, height] of [[600, 54], [390, 60]] as const) {
		const { list } = boxes(treeFrom(narrowTowers(towers, height)), viewOf(treeFrom(narrowTowers(towers, height)), 0), 1920, { first: 0, count: 60 });
		assert.ok(list.n > 0 && list.n <= MAX_BOXES, `${list.n} boxes`);
	}
});

test('layout: what was left out is a box of its own, however small its siblings', () => {
	const nodes: Node[] = [{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 }, { frame: { name: 'big' }, depth: 1, self: 600 }];
	for (let i = 0; i < 500; i++) nodes.push({ frame: { name: `small${i}` }, depth: 1, self: 0.1 });
	nodes.push({ frame: null, depth: 1, self: 350, pruned: 9000 });
	const t = treeFrom(nodes);
	const { list } = boxes(t, viewOf(t, 0), 1000);
	const pruned = Array.from(list.node.subarray(0, list.n)).findIndex((i) => isPruned(t, i));
	assert.ok(pruned >= 0 && Math.abs(list.w[pruned] - 350) < 0.1 && !(list.flags[pruned] & BOX_RUN));
});

test('layout: only the rows asked for, at any depth', () => {
	const nodes: Node[] = Array.from({ length: 20_000 }, (_, d) => ({ frame: { name: `f${d % 3}` }, depth: d, self: d === 19_999 ? 5 : 0 }));
	const t = treeFrom(nodes);
	const { list } = boxes(t, viewOf(t, 0), 800, { first: 15_000, count: 40 });
	assert.equal(list.n, 40);
	assert.equal(list.node[0], 15_000);
	assert.equal(list.row[39], 15_039);
});

test('layout: a search lights what it finds, also in runs, and little else', () => {
	const nodes: Node[] = [{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 }];
	for (let i = 0; i < 400; i++) nodes.push({ frame: { name: i === 399 ? 'hit' : `miss${i}` }, depth: 1, self: 2 });
	const t = treeFrom(nodes);
	const marks = new Uint8Array(t.slab.funcName.length);
	marks[t.func[400]] = MARK_MATCH;
	const { list } = boxes(t, viewOf(t, 0), 800, ALL_ROWS, marks);
	let lit = 0;
	for (let k = 0; k < list.n; k++) if (list.flags[k] & MARK_MATCH) lit += list.w[k];
	assert.ok(lit > 0 && lit < 6, `${lit} px lit`);
});

test('layout: nothing to show is no boxes', () => {
	const t = treeFrom([{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 }]);
	assert.equal(boxes(t, viewOf(t, 0), 800).list.n, 0);
	const some = treeFrom(nodesOf('a 1'));
	assert.equal(boxes(some, viewOf(some, 0), 0).list.n, 0);
});

test('hit: a point finds the box drawn there', () => {
	const t = treeFrom(sampleNodes(10_000, 4, ['a', 'b']));
	const width = 1500;
	const { list } = boxes(t, viewOf(t, 0), width);
	for (let k = 0; k < list.n; k++) {
		if ((list.flags[k] & BOX_RUN) !== 0 || list.w[k] < MIN_WIDTH) continue;
		const value = ((list.x[k] + list.w[k] / 2) / width) * t.total[0];
		assert.equal(nodeAt(t, 0, value, list.row[k]), list.node[k]);
	}
	assert.equal(nodeAt(t, 0, t.total[0], 0), -1);
	assert.equal(nodeAt(t, 0, 0, 9_999), -1);
});
