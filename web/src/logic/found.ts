/* SPDX-License-Identifier: Apache-2.0 */
/* found.ts: how far a box can be trusted. A node has one bit for each way in
 * which frames of it were found (docs/slab-format.md); the words are those of
 * found.def, whose row i is bit i. */
import rows from '../../../src/model/found.def';
import type { Tree } from './tree';

const bitOf = (name: string): number => 1 << rows.findIndex(([, n]) => n === name);
const UNKNOWN = bitOf('');
const KNOWN = (1 << rows.length) - 1 - UNKNOWN;

/* These follow memory that need not be what it looks like: code built without
 * frame pointers uses their register for other things. */
const DOUBTFUL = bitOf('fp') | bitOf('heuristic');

/* True when all frames of the node were found in ways that may be wrong. */
export const isDoubtfulMask = (found: number): boolean => found !== 0 && (found & ~DOUBTFUL) === 0;

export const foundOf = (t: Tree, node: number): number => t.slab.found?.[node] ?? 0;
export const isDoubtful = (t: Tree, node: number): boolean => isDoubtfulMask(foundOf(t, node));
export const hasDoubtful = (t: Tree): boolean => t.slab.found?.some(isDoubtfulMask) ?? false;

/* "Found: by a frame pointer (less certain)"; '' where nothing is known. */
export function foundText(found: number): string {
	if (!(found & KNOWN)) return '';
	const ways = rows.filter((_, i) => found & KNOWN & (1 << i)).map(([, , text]) => text);
	const rest = found & ~KNOWN ? '; of some it is not known' : '';
	return `Found: ${ways.join('; ')}${rest}${isDoubtfulMask(found) ? ' (less certain)' : ''}`;
}
