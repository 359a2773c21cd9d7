/* SPDX-License-Identifier: Apache-2.0 */
/* diff.ts: a comparison of two sides, A and B, as trees. One slab holds both;
 * which side the widths are of is a matter of taste:
 *
 *   b      shares of B; what is gone has no width
 *   a      shares of A; what is new has no width
 *   gone   shares of A, only what B does not have
 *
 * Children stand by falling width in each, as layout.ts needs it. */
import { treeOf, type Tree } from './tree';
import type { Slab } from '../api/slab';

export type DiffWidth = 'b' | 'a' | 'gone';

export const VERDICT_UNKNOWN = 0; /* no samples to test with */
export const VERDICT_SAME = 1; /* not significant */

/* By node of one tree. */
export interface DiffColumns {
	shareA: Float64Array;
	shareB: Float64Array;
	low: Float64Array; /* 95 % interval of B - A */
	high: Float64Array;
	verdict: Uint8Array;
}

export interface DiffTree extends Tree {
	diff: DiffColumns;
}

export const hasDiff = (s: Slab): boolean => s.base !== undefined;
export const isGone = (d: DiffColumns, node: number): boolean => d.shareB[node] === 0 && d.shareA[node] > 0;

/* Part of the larger share that changed, -1 (gone) to 1 (new); 0 where
 * nothing did, or nothing can be said. */
export function changeOf(d: DiffColumns, node: number): number {
	const larger = Math.max(d.shareA[node], d.shareB[node]);
	if (!(larger > 0) || node === 0 || d.verdict[node] === VERDICT_SAME) return 0;
	return (d.shareB[node] - d.shareA[node]) / larger;
}

/* "A 30.00 % · B 38.18 % · +8.18 points, 95 % +4.12 to +12.19, significant" */
export function changeFormat(d: DiffColumns, node: number): string {
	const percent = (v: number): string => `${(100 * v).toFixed(2)} %`;
	const points = (v: number): string => `${v < 0 ? '−' : '+'}${Math.abs(100 * v).toFixed(2)}`;
	const delta = d.shareB[node] - d.shareA[node];
	const tested = node === 0 || d.verdict[node] === VERDICT_UNKNOWN ? '' :
		`, 95 % ${points(d.low[node])} to ${points(d.high[node])}, ${d.verdict[node] === VERDICT_SAME ? 'not significant' : 'significant'}`;
	const is = isGone(d, node) ? ', gone' : d.shareA[node] === 0 && d.shareB[node] > 0 ? ', new' : '';
	return `A ${percent(d.shareA[node])} · B ${percent(d.shareB[node])} · ${points(delta)} points${tested}${is}`;
}

/* The nodes in preorder with children by falling total: new place -> old. */
function orderBy(tree: Tree, total: Float64Array): Uint32Array {
	const { n, parent } = tree;
	const first = new Uint32Array(n + 1); /* children of i: child[first[i] .. first[i + 1]) */
	for (let i = 1; i < n; i++) first[parent[i] + 1]++;
	for (let i = 0; i < n; i++) first[i + 1] += first[i];
	const child = new Uint32Array(n);
	const fill = first.slice();
	for (let i = 1; i < n; i++) child[fill[parent[i]]++] = i;
	const ret = new Uint32Array(n);
	const open = [0];
	for (let at = 0; open.length > 0; at++) {
		const node = open.pop()!;
		ret[at] = node;
		const children = child.subarray(first[node], first[node + 1]).sort((a, b) => total[a] - total[b] || b - a);
		for (const c of children) open.push(c);
	}
	return ret;
}

export function diffTree(slab: Slab, width: DiffWidth): DiffTree {
	const whole = slab.meta.diff ?? { whole_a: 0, whole_b: 0 };
	const base = slab.base!;
	const b = treeOf(slab);
	const a = treeOf({ ...slab, self: base });
	const self = width === 'b' ? slab.self : width === 'a' ? base : base.map((v, i) => (b.total[i] === 0 ? v : 0));
	const order = orderBy(b, treeOf({ ...slab, self }).total);
	const place = <T extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(from: T): T => {
		const ret = from.slice() as T;
		for (let i = 0; i < order.length; i++) ret[i] = from[order[i]];
		return ret;
	};
	const share = (total: Float64Array, of: number): Float64Array => place(total).map((v) => (of > 0 ? v / of : 0));
	const sorted: Slab = { ...slab, func: place(slab.func), depth: place(slab.depth), self: place(self), pruned: place(slab.pruned) };
	if (slab.found) sorted.found = place(slab.found);
	return {
		...treeOf(sorted),
		diff: {
			shareA: share(a.total, whole.whole_a),
			shareB: share(b.total, whole.whole_b),
			low: place(slab.low!),
			high: place(slab.high!),
			verdict: place(slab.verdict!),
		},
	};
}
