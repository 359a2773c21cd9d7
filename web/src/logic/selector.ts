/* SPDX-License-Identifier: Apache-2.0 */
/* selector.ts: the text of the selector field, as docs/query.md has it, but
 * that braces may be left out. The server judges it. */

export const SELECTOR_MAX = 16_384;

/* A type alone, or braces with or without one before them. */
const WHOLE = /^[a-zA-Z_][\w.:-]*\s*(\{|$)|^\{/;

const isWhole = (text: string): boolean => WHOLE.test(text);

/* What the API takes; '' selects everything and is not sent. */
export function selectorQuery(text: string): string {
	const trimmed = text.trim();
	return !trimmed || isWhole(trimmed) ? trimmed : `{${trimmed}}`;
}

/* The server's words about the text as it was written: places count from its
 * start, without the brace that it did not have. */
export function selectorProblem(text: string, detail: string): string {
	const words = detail.replace(/^query: /, '');
	const said = isWhole(text.trim()) ? words :
		words.replace(/^at character (\d+)/, (_, place: string) => `at character ${Math.max(1, Number(place) - 1)}`);
	return said.charAt(0).toUpperCase() + said.slice(1);
}
