/* SPDX-License-Identifier: Apache-2.0 */
/* url.ts: the whole state of the page as the fragment of its address.
 *
 *   #service=api&type=cpu:nanoseconds&label=host:a&range=1h&unit=percent
 *    &query={host=~"web-.*"}&focus=malloc&hide=^std::&lines=1&zoom=main&zoom=handle&find=/^mem/&fn=memcpy
 *    &sort=total&list=profiles&chart=heat&column=1m&base=1d&width=a&moved=grew&theme=dark
 *
 * A fragment, since zoom paths are long and no business of the server.
 * Defaults are left out. What cannot be read is as if it were not there. */
import { MOVES, baseParse, baseText, type Base, type Move } from './compare';
import type { DiffWidth } from './diff';
import { filtersAppend, filtersOf, type FilterTerm } from './filter';
import { SELECTOR_MAX } from './selector';
import { RANGE_DEFAULT, durationFormat, durationParse, rangeBetween, type Range } from './time';
import type { TopOrder } from './top';

export type Theme = 'auto' | 'dark' | 'light';
export type Unit = 'cores' | 'percent';
export type Chart = 'line' | 'heat';
export type List = 'functions' | 'profiles';

export interface PageState {
	service: string | null; /* null: all */
	type: string;
	labels: [name: string, value: string][];
	query: string; /* a selector as it was written */
	filters: FilterTerm[];
	range: Range;
	live: boolean;
	unit: Unit;
	lines: boolean; /* the lines of a function apart */
	zoom: string[]; /* labels from below the root */
	search: string;
	fn: string; /* selected function; '' = none */
	sort: TopOrder;
	list: List;
	chart: Chart;
	column: number; /* of the heat map, seconds; 0: as the range asks for */
	base: Base | null; /* compared with; null: with nothing */
	width: DiffWidth;
	moved: Move;
	theme: Theme;
}

export const TYPE_DEFAULT = 'cpu:nanoseconds';
const MAX_LABELS = 32;
const MAX_ZOOM = 65_535;

export function stateDefault(): PageState {
	return {
		service: null, type: TYPE_DEFAULT, labels: [], query: '', filters: [], range: RANGE_DEFAULT, live: true, unit: 'cores', lines: false, zoom: [],
		search: '', fn: '', sort: 'self', list: 'functions', chart: 'line', column: 0, base: null, width: 'b', moved: 'all', theme: 'auto',
	};
}

function rangeOf(params: URLSearchParams): Range {
	if (params.has('from') && params.has('to')) {
		const range = rangeBetween(Number(params.get('from')), Number(params.get('to')));
		if (range) return range;
	}
	const seconds = durationParse(params.get('range') ?? '');
	return seconds === null ? RANGE_DEFAULT : { kind: 'last', seconds };
}

function oneOf<T extends string>(value: string | null, allowed: readonly T[], otherwise: T): T {
	return allowed.includes(value as T) ? (value as T) : otherwise;
}

export function stateParse(fragment: string): PageState {
	const params = new URLSearchParams(fragment.replace(/^#/, ''));
	const ret = stateDefault();
	ret.service = params.get('service') || null;
	ret.type = params.get('type') || TYPE_DEFAULT;
	for (const pair of params.getAll('label').slice(0, MAX_LABELS)) {
		const colon = pair.indexOf(':');
		if (colon > 0) ret.labels.push([pair.slice(0, colon), pair.slice(colon + 1)]);
	}
	ret.query = (params.get('query') ?? '').slice(0, SELECTOR_MAX);
	ret.filters = filtersOf(params);
	ret.range = rangeOf(params);
	ret.live = params.get('live') !== '0';
	ret.unit = oneOf(params.get('unit'), ['cores', 'percent'], 'cores');
	ret.lines = params.get('lines') === '1';
	ret.zoom = params.getAll('zoom').slice(0, MAX_ZOOM);
	ret.search = params.get('find') ?? '';
	ret.fn = params.get('fn') ?? '';
	ret.sort = oneOf(params.get('sort'), ['self', 'total', 'name'], 'self');
	ret.list = oneOf(params.get('list'), ['functions', 'profiles'], 'functions');
	ret.chart = oneOf(params.get('chart'), ['line', 'heat'], 'line');
	ret.column = durationParse(params.get('column') ?? '') ?? 0;
	ret.base = baseParse(params.get('base'));
	ret.width = oneOf(params.get('width'), ['b', 'a', 'gone'], 'b');
	ret.moved = oneOf(params.get('moved'), MOVES, 'all');
	ret.theme = oneOf(params.get('theme'), ['auto', 'dark', 'light'], 'auto');
	return ret;
}

export function stateFormat(s: PageState): string {
	const params = new URLSearchParams();
	if (s.service !== null) params.set('service', s.service);
	if (s.type !== TYPE_DEFAULT) params.set('type', s.type);
	for (const [name, value] of s.labels) params.append('label', `${name}:${value}`);
	if (s.query) params.set('query', s.query);
	filtersAppend(params, s.filters);
	if (s.range.kind === 'between') {
		params.set('from', String(s.range.from));
		params.set('to', String(s.range.to));
	} else if (s.range.seconds !== (RANGE_DEFAULT as { seconds: number }).seconds) {
		params.set('range', durationFormat(s.range.seconds));
	}
	if (!s.live) params.set('live', '0');
	if (s.unit !== 'cores') params.set('unit', s.unit);
	if (s.lines) params.set('lines', '1');
	for (const name of s.zoom) params.append('zoom', name);
	if (s.search) params.set('find', s.search);
	if (s.fn) params.set('fn', s.fn);
	if (s.sort !== 'self') params.set('sort', s.sort);
	if (s.list !== 'functions') params.set('list', s.list);
	if (s.chart !== 'line') params.set('chart', s.chart);
	if (s.column) params.set('column', durationFormat(s.column));
	if (s.base) params.set('base', baseText(s.base));
	if (s.width !== 'b') params.set('width', s.width);
	if (s.moved !== 'all') params.set('moved', s.moved);
	if (s.theme !== 'auto') params.set('theme', s.theme);
	return params.toString().replace(/%3A/gi, ':').replace(/%2F/gi, '/');
}
