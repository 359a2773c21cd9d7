/* SPDX-License-Identifier: Apache-2.0 */
/* filter.ts: the terms of a filter, as docs/query.md has them. The server
 * judges patterns; here is what a person can choose from. */
export const FILTER_KINDS = ['focus', 'ignore', 'hide', 'show', 'show_from', 'tag', 'tag_ignore'] as const;

export type FilterKind = (typeof FILTER_KINDS)[number];
export type FilterTerm = [kind: FilterKind, text: string];

export const FILTERS_MAX = 16;

const NAMES: Record<FilterKind, [name: string, meaning: string]> = {
	focus: ['focus', 'only stacks with a function that matches'],
	ignore: ['ignore', 'no stack with a function that matches'],
	hide: ['hide', 'stacks without the functions that match'],
	show: ['show', 'stacks with only the functions that match'],
	show_from: ['show from', 'stacks from the first function that matches on'],
	tag: ['tag', 'only samples whose labels match'],
	tag_ignore: ['tag ignore', 'no sample whose labels match'],
};

export const filterName = (kind: FilterKind): string => NAMES[kind][0];
export const filterMeaning = (kind: FilterKind): string => NAMES[kind][1];
export const isLabelFilter = (kind: FilterKind): boolean => kind === 'tag' || kind === 'tag_ignore';

/* The list with the term at its end; as it was when the term is empty, there already, or one too many. */
export function filterAdd(terms: readonly FilterTerm[], kind: FilterKind, text: string): FilterTerm[] {
	if (!text || terms.length >= FILTERS_MAX || terms.some(([k, t]) => k === kind && t === text)) return [...terms];
	return [...terms, [kind, text]];
}

/* In the order of the kinds: the order of terms means nothing. */
export function filtersOf(params: URLSearchParams): FilterTerm[] {
	let ret: FilterTerm[] = [];
	for (const kind of FILTER_KINDS) for (const text of params.getAll(kind)) ret = filterAdd(ret, kind, text);
	return ret;
}

export function filtersAppend(params: URLSearchParams, terms: readonly FilterTerm[]): void {
	for (const [kind, text] of terms) params.append(kind, text);
}

/* The pattern that finds exactly this name. */
export const exactPattern = (name: string): string => `^${name.replace(/[\\^$.*+?()[\]{}|#\s-]/g, '\\$&')}$`;
