/* SPDX-License-Identifier: Apache-2.0 */
/* layout.ts: which boxes of a call tree are on the screen. Cost follows
 * pixels, not nodes:
 *
 *   - a child narrower than MIN_WIDTH ends its row: its siblings are
 *     narrower still (a pruned box, always last, is looked at apart), and the
 *     rest of the row becomes one run;
 *   - boxes narrower than `tiny` that touch become one run per row;
 *   - subtrees left or right of the view, and rows below it, are stepped over;
 *   - `tiny` doubles until at most MAX_BOXES are left.
 *
 * x and widths are CSS pixels from the left edge of the view, rows count from
 * its top row. */
import { isPruned, type Tree } from './tree';

export const MIN_WIDTH = 1;
export const TINY_WIDTH = 3;
export const MAX_BOXES = 6_000; /* painted in one frame of 16 ms without a GPU */

/* The part of the tree that spans the canvas: values [left, left + span) and
 * depth `top` in the first row. `root` contains all of it. Fractions of a
 * depth occur while a zoom is animated. */
export interface View {
	root: number;
	left: number;
	span: number;
	top: number;
}

export const MARK_MATCH = 1; /* the function is found by the search */
export const MARK_SELECTED = 2;

export const BOX_RUN = 4; /* stands for several narrow nodes; `node` is the first */

export interface DisplayList {
	n: number;
	x: Float32Array;
	w: Float32Array;
	row: Int32Array;
	node: Uint32Array;
	flags: Uint8Array; /* MARK_* and BOX_RUN */
	visited: number;
}

export function displayListNew(): DisplayList {
	const cap = MAX_BOXES + 1;
	return {
		n: 0,
		x: new Float32Array(cap),
		w: new Float32Array(cap),
		row: new Int32Array(cap),
		node: new Uint32Array(cap),
		flags: new Uint8Array(cap),
		visited: 0,
	};
}

export interface Rows {
	first: number; /* relative to view.top */
	count: number;
}

/* Runs being collected, one per visible row. */
interface Runs {
	x0: Float64Array;
	x1: Float64Array;
	node: Uint32Array;
	flags: Uint8Array;
	nodes: Uint32Array; /* 0: none open */
}

function push(list: DisplayList, x: number, w: number, row: number, node: number, flags: number): void {
	if (list.n >= list.x.length) return; /* full: the caller sees n > MAX_BOXES and widens `tiny` */
	const i = list.n++;
	list.x[i] = x;
	list.w[i] = w;
	list.row[i] = row;
	list.node[i] = node;
	list.flags[i] = flags;
}

function runFlush(list: DisplayList, runs: Runs, slot: number, first: number): void {
	if (runs.nodes[slot] === 0) return;
	const flags = runs.flags[slot] | (runs.nodes[slot] > 1 ? BOX_RUN : 0);
	push(list, runs.x0[slot], runs.x1[slot] - runs.x0[slot], slot + first, runs.node[slot], flags);
	runs.nodes[slot] = 0;
}

/* A run takes the marks of what is in it; once it is `tiny` wide, a node with
 * other marks starts a new one, so that a wide run is not lit by one node. */
function runAdd(list: DisplayList, runs: Runs, slot: number, first: number, x0: number, x1: number, node: number, nodes: number,
	flags: number, tiny: number): void {
	const isOpen = runs.nodes[slot] > 0;
	const isWide = isOpen && runs.x1[slot] - runs.x0[slot] >= tiny;
	if (isOpen && x0 - runs.x1[slot] <= 1 && !(isWide && runs.flags[slot] !== flags)) {
		runs.x1[slot] = Math.max(runs.x1[slot], x1);
		runs.flags[slot] |= flags;
		runs.nodes[slot] += nodes;
		return;
	}
	runFlush(list, runs, slot, first);
	runs.x0[slot] = x0;
	runs.x1[slot] = x1;
	runs.node[slot] = node;
	runs.flags[slot] = flags;
	runs.nodes[slot] = nodes;
}

function layoutOnce(t: Tree, view: View, width: number, rows: Rows, marks: Uint8Array | null, tiny: number, list: DisplayList): void {
	const scale = width / view.span;
	const count = Math.max(rows.count, 0);
	const runs: Runs = {
		x0: new Float64Array(count),
		x1: new Float64Array(count),
		node: new Uint32Array(count),
		flags: new Uint8Array(count),
		nodes: new Uint32Array(count),
	};
	const base = Math.floor(view.top) + rows.first; /* depth of slot 0 */
	const stop = t.end[view.root];
	list.n = 0;
	list.visited = 0;
	let i = view.root;
	while (i < stop) {
		list.visited++;
		const x = (t.left[i] - view.left) * scale;
		const w = t.total[i] * scale;
		const slot = t.depth[i] - base;
		const parent = t.parent[i];
		if (slot >= count || x + w <= 0) {
			i = t.end[i];
			continue;
		}
		if (x >= width) {
			if (i === view.root) break;
			i = t.end[parent];
			continue;
		}
		const f = t.func[i];
		const flags = marks !== null && f < marks.length ? marks[f] : 0;
		if (w < MIN_WIDTH && i !== view.root) {
			const last = t.end[parent] - 1;
			const rest = last > i && t.parent[last] === parent && isPruned(t, last) ? last : t.end[parent];
			const x1 = (t.left[parent] + t.total[parent] - t.self[parent] - view.left) * scale;
			const until = rest === last ? (t.left[last] - view.left) * scale : x1;
			if (slot >= 0 && until > x) runAdd(list, runs, slot, rows.first, Math.max(x, -1), Math.min(until, width + 1), i, rest - i, flags, tiny);
			i = rest;
			continue;
		}
		if (slot >= 0) {
			if (w < tiny) {
				runAdd(list, runs, slot, rows.first, x, x + w, i, 1, flags, tiny);
			} else {
				runFlush(list, runs, slot, rows.first);
				push(list, x, w, slot + rows.first, i, flags);
			}
		}
		i++;
	}
	for (let slot = 0; slot < count; slot++) runFlush(list, runs, slot, rows.first);
}

/* Fills `list` with the boxes of `rows`. `marks` holds MARK_* per function. */
export function layout(t: Tree, view: View, width: number, rows: Rows, marks: Uint8Array | null, list: DisplayList): void {
	list.n = 0;
	if (!(view.span > 0) || !(width > 0)) return;
	let visited = 0;
	for (let tiny = TINY_WIDTH; ; tiny *= 2) {
		layoutOnce(t, view, width, rows, marks, tiny, list);
		visited += list.visited;
		if (list.n <= MAX_BOXES || tiny > width) break;
	}
	list.visited = visited;
}

export function viewOf(t: Tree, node: number): View {
	return { root: node, left: t.left[node], span: t.total[node], top: t.depth[node] };
}

/* The node under a point: `value` in the unit of the tree, -1 = none there. */
export function nodeAt(t: Tree, root: number, value: number, depth: number): number {
	let node = root;
	if (depth < t.depth[root] || value < t.left[root] || value >= t.left[root] + t.total[root]) return -1;
	while (t.depth[node] < depth) {
		let child = node + 1;
		const end = t.end[node];
		while (child < end && value >= t.left[child] + t.total[child]) child = t.end[child];
		if (child >= end) return -1;
		node = child;
	}
	return node;
}
