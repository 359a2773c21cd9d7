/* SPDX-License-Identifier: Apache-2.0 */
/* search.ts: which functions a search finds, and how much of the tree runs
 * in or below them. A stack that contains several matches counts once: the
 * sweep adds the outermost match and steps over its subtree. */
import { MARK_MATCH, MARK_SELECTED } from './layout';
import type { Tree } from './tree';

export type Matcher = (name: string) => boolean;

/* "text" finds a substring whatever its case; "/re/" a regular expression as
 * it stands, "/re/i" whatever its case. null: nothing is searched. */
export function matcherOf(query: string): { matcher: Matcher | null; error: string } {
	if (query === '') return { matcher: null, error: '' };
	const regex = /^\/(.*)\/(i?)$/s.exec(query);
	if (!regex) {
		const want = query.toLowerCase();
		return { matcher: (name) => name.toLowerCase().includes(want), error: '' };
	}
	if (regex[1] === '') return { matcher: null, error: '' };
	try {
		const re = new RegExp(regex[1], regex[2]);
		return { matcher: (name) => re.test(name), error: '' };
	} catch (e) {
		return { matcher: null, error: e instanceof Error ? e.message : String(e) };
	}
}

export interface Marks {
	byFunc: Uint8Array; /* MARK_* */
	nMatched: number; /* functions, without the root */
}

/* Marks per function; the root's own row ("all") is never found. */
export function marksOf(t: Tree, matcher: Matcher | null, selected: string): Marks {
	const { funcName, string } = t.slab;
	const byFunc = new Uint8Array(funcName.length);
	let nMatched = 0;
	for (let f = 0; f < funcName.length; f++) {
		if (f === t.func[0]) continue;
		const name = string(funcName[f]);
		if (matcher?.(name)) {
			byFunc[f] |= MARK_MATCH;
			nMatched++;
		}
		if (selected !== '' && name === selected) byFunc[f] |= MARK_SELECTED;
	}
	return { byFunc, nMatched };
}

/* Value of the stacks of `root`'s subtree that contain a function with `mark`. */
export function markedTotal(t: Tree, marks: Uint8Array, mark: number, root: number): number {
	const isMarked = (i: number) => t.func[i] < marks.length && (marks[t.func[i]] & mark) !== 0;
	for (let i = root; i !== 0; i = t.parent[i]) if (isMarked(i)) return t.total[root];
	let sum = 0;
	for (let i = root; i < t.end[root];) {
		if (isMarked(i)) {
			sum += t.total[i];
			i = t.end[i];
		} else {
			i++;
		}
	}
	return sum;
}
