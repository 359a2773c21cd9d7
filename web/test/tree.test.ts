/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { slabRead } from '../src/api/slab';
import { navigate, siblingPlace } from '../src/logic/nav';
import { MARK_MATCH, MARK_SELECTED } from '../src/logic/layout';
import { markedTotal, marksOf, matcherOf } from '../src/logic/search';
import { topOf, topSort } from '../src/logic/top';
import { commonAncestor, depthBelow, isInside, nodeName, pathOf, pathResolve, treeOf, type Tree } from '../src/logic/tree';
import { randomOf, sampleNodes } from './sample_tree';
import { nodesOf, slabOf, type Node } from './slab_writer';

const treeFrom = (nodes: readonly Node[]): Tree => treeOf(slabRead(slabOf(nodes)));
const find = (t: Tree, name: string): number => {
	for (let i = 0; i < t.n; i++) if (nodeName(t, i) === name) return i;
	throw new Error(`no ${name}`);
};

const SMALL = 'main;parse 30\nmain;parse;read 10\nmain;write 25\nidle 5';

test('tree: totals, ends, parents and places of boxes', () => {
	const t = treeFrom(nodesOf(SMALL));
	const rows = Array.from({ length: t.n }, (_, i) => [nodeName(t, i), t.depth[i], t.parent[i], t.end[i], t.total[i], t.left[i]]);
	assert.deepEqual(rows, [
		['all', 0, 0, 6, 70, 0],
		['main', 1, 0, 5, 65, 0],
		['parse', 2, 1, 4, 40, 0],
		['read', 3, 2, 4, 10, 0],
		['write', 2, 1, 5, 25, 40],
		['idle', 1, 0, 6, 5, 65],
	]);
	assert.equal(t.maxDepth, 3);
	assert.equal(depthBelow(t, find(t, 'parse')), 1);
});

/* The tree's sweeps against walking up from every node. */
test('tree: totals of 20,000 nodes are those of a plain recount', () => {
	const t = treeFrom(sampleNodes(20_000, 3, ['a', 'b']));
	const want = new Float64Array(t.n);
	for (let i = 0; i < t.n; i++) for (let at = i; ; at = t.parent[at]) {
		want[at] += t.self[i];
		if (at === 0) break;
	}
	for (let i = 0; i < t.n; i++) {
		assert.ok(Math.abs(want[i] - t.total[i]) <= 1e-6 * want[0]);
		assert.ok(i === 0 || (t.left[i] >= t.left[t.parent[i]] && t.left[i] + t.total[i] <= t.left[t.parent[i]] + t.total[t.parent[i]] * (1 + 1e-9)));
	}
});

test('tree: 65,535 levels deep without recursion', () => {
	const nodes: Node[] = Array.from({ length: 65_536 }, (_, d) => ({ frame: { name: d === 0 ? 'all' : `f${d % 7}` }, depth: d, self: d === 65_535 ? 9 : 0 }));
	const t = treeFrom(nodes);
	assert.equal(t.maxDepth, 65_535);
	assert.equal(t.total[0], 9);
	assert.equal(pathResolve(t, pathOf(t, 65_535)).node, 65_535);
	assert.equal(topOf(t).find((f) => f.name === 'f1')!.total, 9, 'recursion counts once per stack');
	const { matcher } = matcherOf('f3');
	assert.equal(markedTotal(t, marksOf(t, matcher, '').byFunc, MARK_MATCH, 0), 9);
});

test('path: a place is found again in another tree, or its nearest caller', () => {
	const t = treeFrom(nodesOf(SMALL));
	assert.deepEqual(pathOf(t, find(t, 'read')), ['main', 'parse', 'read']);
	const grown = treeFrom(nodesOf('idle 500\nmain;write 90\nmain;parse;read 10\nmain;parse 3'));
	assert.deepEqual(pathResolve(grown, ['main', 'parse', 'read']), { node: find(grown, 'read'), isWhole: true });
	assert.deepEqual(pathResolve(grown, ['main', 'parse', 'gone', 'read']), { node: find(grown, 'parse'), isWhole: false });
	assert.deepEqual(pathResolve(grown, []), { node: 0, isWhole: true });
	assert.ok(isInside(grown, find(grown, 'read'), find(grown, 'main')));
	assert.equal(commonAncestor(t, find(t, 'read'), find(t, 'write')), find(t, 'main'));
});

test('search: text ignores case, /re/ does not, /re/i does, a broken one says so', () => {
	assert.ok(matcherOf('MALLOC').matcher!('_int_malloc'));
	assert.ok(!matcherOf('/MALLOC/').matcher!('_int_malloc'));
	assert.ok(matcherOf('/MALLOC$/i').matcher!('_int_malloc'));
	assert.ok(matcherOf('/').matcher!('a/b'), 'a lone slash is text');
	assert.equal(matcherOf('').matcher, null);
	assert.equal(matcherOf('//').matcher, null);
	const broken = matcherOf('/(/');
	assert.equal(broken.matcher, null);
	assert.match(broken.error, /Unterminated group|Invalid regular expression/);
});

test('search: a stack with two matches counts once', () => {
	const t = treeFrom(nodesOf('main;lock;spin;lock_slow 40\nmain;work 50\nlock 10'));
	const { matcher } = matcherOf('lock');
	const marks = marksOf(t, matcher, 'work');
	assert.equal(marks.nMatched, 2);
	assert.equal(markedTotal(t, marks.byFunc, MARK_MATCH, 0), 50);
	assert.equal(markedTotal(t, marks.byFunc, MARK_MATCH, find(t, 'main')), 40);
	assert.equal(markedTotal(t, marks.byFunc, MARK_MATCH, find(t, 'spin')), 40, 'inside a match all of it is');
	assert.equal(markedTotal(t, marks.byFunc, MARK_SELECTED, 0), 50);
});

test('search: neither the root nor what is left out is ever found', () => {
	const t = treeFrom([{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 }, { frame: { name: 'f' }, depth: 1, self: 6 }, { frame: null, depth: 1, self: 4, pruned: 3 }]);
	assert.equal(markedTotal(t, marksOf(t, matcherOf('all').matcher, '').byFunc, MARK_MATCH, 0), 0);
	assert.equal(markedTotal(t, marksOf(t, () => true, '').byFunc, MARK_MATCH, 0), 6);
	assert.deepEqual(topOf(t).map((f) => f.name), ['f']);
});

test('search: the share equals a recount over all stacks', () => {
	const t = treeFrom(sampleNodes(5_000, 11, ['a']));
	const { matcher } = matcherOf('/^(malloc|tcp_|row)/');
	let want = 0;
	for (let i = 0; i < t.n; i++) {
		let hit = false;
		for (let at = i; at !== 0; at = t.parent[at]) hit ||= matcher!(nodeName(t, at));
		if (hit) want += t.self[i];
	}
	const have = markedTotal(t, marksOf(t, matcher, '').byFunc, MARK_MATCH, 0);
	assert.ok(want > 0 && Math.abs(have - want) <= 1e-9 * t.total[0]);
});

test('top: self and total, recursion once, three orders', () => {
	const t = treeFrom(nodesOf('a;b;a;b 10\na 5\nb 3'));
	const rows = topOf(t);
	const row = (name: string) => rows.find((r) => r.name === name)!;
	assert.deepEqual([row('a').self, row('a').total], [5, 15]);
	assert.deepEqual([row('b').self, row('b').total], [13, 13]);
	assert.deepEqual(topSort(rows, 'self').map((r) => r.name), ['b', 'a']);
	assert.deepEqual(topSort(rows, 'total').map((r) => r.name), ['a', 'b']);
	assert.deepEqual(topSort(rows, 'name').map((r) => r.name), ['a', 'b']);
});

test('keys: parent, first child, siblings; never out of the zoomed part', () => {
	const t = treeFrom(nodesOf(SMALL));
	const [main, parse, write, idle] = ['main', 'parse', 'write', 'idle'].map((name) => find(t, name));
	assert.equal(navigate(t, main, 'ArrowDown', 0), parse);
	assert.equal(navigate(t, parse, 'ArrowRight', 0), write);
	assert.equal(navigate(t, write, 'ArrowLeft', 0), parse);
	assert.equal(navigate(t, write, 'ArrowRight', 0), write);
	assert.equal(navigate(t, write, 'ArrowUp', 0), main);
	assert.equal(navigate(t, idle, 'ArrowDown', 0), idle);
	assert.equal(navigate(t, main, 'ArrowRight', main), main);
	assert.equal(navigate(t, main, 'ArrowUp', main), main);
	assert.equal(navigate(t, write, 'Home', main), main);
	assert.deepEqual(siblingPlace(t, write), { place: 2, count: 2 });
});

test('keys: any walk stays inside', () => {
	const t = treeFrom(sampleNodes(3_000, 5, ['a', 'b']));
	const pick = randomOf(1);
	const keys = ['ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight'] as const;
	const root = 1;
	let at = root;
	for (let i = 0; i < 20_000; i++) {
		at = navigate(t, at, keys[Math.floor(pick() * 4)], root);
		assert.ok(isInside(t, at, root));
	}
});
