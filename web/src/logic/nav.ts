/* SPDX-License-Identifier: Apache-2.0 */
/* nav.ts: where an arrow key leads in an icicle (root on top). */
import type { Tree } from './tree';

export type NavKey = 'ArrowUp' | 'ArrowDown' | 'ArrowLeft' | 'ArrowRight' | 'Home';

export const isNavKey = (key: string): key is NavKey =>
	key === 'ArrowUp' || key === 'ArrowDown' || key === 'ArrowLeft' || key === 'ArrowRight' || key === 'Home';

/* The node to go to from `node`, never leaving the subtree of `root`;
 * `node` itself where there is none. */
export function navigate(t: Tree, node: number, key: NavKey, root: number): number {
	if (key === 'Home') return root;
	if (key === 'ArrowDown') return node + 1 < t.end[node] ? node + 1 : node;
	if (node === root) return node;
	const parent = t.parent[node];
	if (key === 'ArrowUp') return parent;
	if (key === 'ArrowRight') return t.end[node] < t.end[parent] ? t.end[node] : node;
	let before = node;
	for (let i = parent + 1; i < node; i = t.end[i]) before = i;
	return before;
}

/* Position among its siblings, for assistive technology: 1-based. */
export function siblingPlace(t: Tree, node: number): { place: number; count: number } {
	if (node === 0) return { place: 1, count: 1 };
	let place = 0;
	let count = 0;
	const parent = t.parent[node];
	for (let i = parent + 1; i < t.end[parent]; i = t.end[i]) {
		count++;
		if (i <= node) place = count;
	}
	return { place, count };
}
