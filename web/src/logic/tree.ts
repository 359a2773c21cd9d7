/* SPDX-License-Identifier: Apache-2.0 */
/* tree.ts: what is drawn and searched: a slab plus what two sweeps derive.
 *
 *   i        0    1     2    3    4        preorder, children by falling total
 *            all  main  a    b    idle
 *   depth    0    1     2    2    1
 *   parent   0    0     1    1    0
 *   end      5    4     3    4    5        subtree of i = [i, end[i])
 *   total    backwards: self + children
 *   left     forwards: where the box starts, in the unit of the values
 *
 * Nothing here recurses: a tree may be 65,535 deep. */
import { FUNC_PRUNED, KIND_UNNAMED, type Slab } from '../api/slab';
import type { TreeMeta } from '../api/types';
import type { DiffColumns } from './diff';

export const KINDS = ['unknown', 'user', 'kernel', 'python', 'js', 'jvm', 'go', 'jit', 'synthetic'] as const;

export interface Tree {
	n: number;
	func: Uint32Array;
	depth: Uint16Array;
	self: Float64Array;
	total: Float64Array;
	left: Float64Array;
	parent: Uint32Array;
	end: Uint32Array;
	maxDepth: number;
	prunedTotal: number;
	slab: Slab;
	meta: TreeMeta;
	diff?: DiffColumns; /* of a comparison */
}

export function treeOf(slab: Slab): Tree {
	const n = slab.func.length;
	const { func, depth, self } = slab;
	const parent = new Uint32Array(n);
	const end = new Uint32Array(n);
	const total = new Float64Array(n);
	const left = new Float64Array(n);
	const open = new Uint32Array(65536); /* the last node seen at each depth */
	let maxDepth = 0;
	let prunedTotal = 0;
	for (let i = 0; i < n; i++) {
		const d = depth[i];
		open[d] = i;
		parent[i] = d === 0 ? 0 : open[d - 1];
		total[i] = self[i];
		end[i] = i + 1;
		if (d > maxDepth) maxDepth = d;
		if (func[i] === FUNC_PRUNED) prunedTotal += self[i];
	}
	for (let i = n - 1; i > 0; i--) {
		const p = parent[i];
		total[p] += total[i];
		if (end[i] > end[p]) end[p] = end[i];
	}
	const next = new Float64Array(n); /* where the next child of a node starts */
	for (let i = 1; i < n; i++) {
		const p = parent[i];
		left[i] = next[p];
		next[p] += total[i];
		next[i] = left[i];
	}
	return { n, func, depth, self, total, left, parent, end, maxDepth, prunedTotal, slab, meta: slab.meta };
}

export const isPruned = (t: Tree, node: number): boolean => t.func[node] === FUNC_PRUNED;

export function nodeName(t: Tree, node: number): string {
	const f = t.func[node];
	if (f === FUNC_PRUNED) {
		const n = t.slab.pruned[node];
		return n === 1 ? '(1 small frame left out)' : `(${n.toLocaleString('en')} small frames left out)`;
	}
	return t.slab.string(t.slab.funcName[f]);
}

const lineOf = (t: Tree, node: number): number => (isPruned(t, node) ? 0 : (t.slab.funcLine?.[t.func[node]] ?? 0));

/* The name, and the line where the lines of a function stand apart: what
 * tells a node from its siblings. */
export function nodeLabel(t: Tree, node: number): string {
	const line = lineOf(t, node);
	return line ? `${nodeName(t, node)}:${line}` : nodeName(t, node);
}

export interface NodeFacts {
	name: string;
	file: string;
	module: string;
	kind: string;
	isNamed: boolean;
	isPruned: boolean;
}

export function nodeFacts(t: Tree, node: number): NodeFacts {
	const f = t.func[node];
	if (f === FUNC_PRUNED)
		return { name: nodeName(t, node), file: '', module: '', kind: 'pruned', isNamed: true, isPruned: true };
	const kind = t.slab.funcKind[f];
	const file = t.slab.string(t.slab.funcFile[f]);
	const line = lineOf(t, node);
	return {
		name: nodeName(t, node),
		file: file && line ? `${file}:${line}` : file,
		module: t.slab.string(t.slab.funcModule[f]),
		kind: KINDS[kind & ~KIND_UNNAMED] ?? 'unknown',
		isNamed: (kind & KIND_UNNAMED) === 0,
		isPruned: false,
	};
}

/* A node's place that survives a refresh: labels from below the root to it. */
export function pathOf(t: Tree, node: number): string[] {
	const ret: string[] = [];
	for (let i = node; i !== 0; i = t.parent[i]) ret.push(nodeLabel(t, i));
	return ret.reverse();
}

/* The node at `path`, or where the tree stops following it. Among children
 * of one label the largest is meant, which stands first. */
export function pathResolve(t: Tree, path: readonly string[]): { node: number; isWhole: boolean } {
	let node = 0;
	for (const label of path) {
		let child = node + 1;
		while (child < t.end[node] && (isPruned(t, child) || nodeLabel(t, child) !== label)) child = t.end[child];
		if (child >= t.end[node]) return { node, isWhole: false };
		node = child;
	}
	return { node, isWhole: true };
}

export function isInside(t: Tree, node: number, root: number): boolean {
	return node >= root && node < t.end[root];
}

/* The deepest node whose subtree holds both. */
export function commonAncestor(t: Tree, a: number, b: number): number {
	while (!isInside(t, b, a)) a = t.parent[a];
	return a;
}

/* Levels below a node. */
export function depthBelow(t: Tree, node: number): number {
	if (node === 0) return t.maxDepth;
	let deepest = t.depth[node];
	for (let i = node + 1; i < t.end[node]; i++) if (t.depth[i] > deepest) deepest = t.depth[i];
	return deepest - t.depth[node];
}
