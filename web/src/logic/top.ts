/* SPDX-License-Identifier: Apache-2.0 */
/* top.ts: self and total per function of a tree without a server behind it.
 * A function that calls itself counts once per stack in its total: while
 * inside a subtree of f, further nodes of f add nothing. */
import type { TopFunction } from '../api/types';
import { isPruned, type Tree } from './tree';

export type TopOrder = 'self' | 'total' | 'name';

const byName = (a: TopFunction, b: TopFunction): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

export function topSort(rows: readonly TopFunction[], order: TopOrder): TopFunction[] {
	if (order === 'name') return [...rows].sort(byName);
	return [...rows].sort((a, b) => b[order] - a[order] || byName(a, b));
}

export function topOf(t: Tree): TopFunction[] {
	const { funcName, funcFile, funcModule, funcLine, string } = t.slab;
	const n = funcName.length;
	const self = new Float64Array(n);
	const total = new Float64Array(n);
	const insideUntil = new Uint32Array(n);
	const isThere = new Uint8Array(n);
	for (let i = 1; i < t.n; i++) {
		if (isPruned(t, i)) continue;
		const f = t.func[i];
		isThere[f] = 1;
		self[f] += t.self[i];
		if (i < insideUntil[f]) continue;
		total[f] += t.total[i];
		insideUntil[f] = t.end[i];
	}
	const ret: TopFunction[] = [];
	for (let f = 0; f < n; f++) {
		if (!isThere[f]) continue;
		const line = funcLine?.[f] ?? 0;
		ret.push({ name: string(funcName[f]), file: string(funcFile[f]), line, module: string(funcModule[f]), self: self[f], total: total[f] });
	}
	return ret;
}
