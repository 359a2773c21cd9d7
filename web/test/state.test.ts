/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChangedFunction, ChangedValue, Series } from '../src/api/types';
import { frameColors, nameHash } from '../src/logic/color';
import { baseMs, baseName, baseParse, baseText, changesOf, changeTitle, verdictFormat } from '../src/logic/compare';
import { exactPattern, filterAdd, FILTERS_MAX } from '../src/logic/filter';
import { formatAge, formatShare, formatValue } from '../src/logic/format';
import { cutOf, missingOf } from '../src/logic/loss';
import { exemplarPlace, exemplarState } from '../src/logic/profiles';
import { selectorProblem, selectorQuery } from '../src/logic/selector';
import { shortName } from '../src/logic/name';
import { gapsOf, ratesOf, summaryOf } from '../src/logic/series';
import { durationFormat, durationParse, inputFormat, inputParse, rangeBetween, rangeFormat, rangeParams } from '../src/logic/time';
import { stateDefault, stateFormat, stateParse, type PageState } from '../src/logic/url';

const FULL: PageState = {
	service: 'a b&c=d#ü', type: 'alloc_space:bytes', labels: [['host', 'h:1'], ['thread_name', '']], query: 'cpu{a=~"x&y#.*", b!=`z`}',
	filters: [['focus', '^std::map<.*>&#=%'], ['focus', 'b'], ['show_from', '(?i)a b'], ['tag', 'size=1mb:']], range: { kind: 'between', from: 1000, to: 61_000 },
	live: false, unit: 'percent', lines: true, zoom: ['main', 'std::map<int, char>::operator[](int&&)', 'a/b;c', '100%', 'x+y'], search: '/^mem(cpy|set)$/i', fn: 'f g',
	sort: 'total', list: 'profiles', chart: 'heat', column: 60, base: { kind: 'between', from: 5, to: 9 }, width: 'gone', moved: 'grew', theme: 'light',
};

test('url: everything survives the way there and back', () => {
	assert.deepEqual(stateParse(`#${stateFormat(FULL)}`), FULL);
	assert.deepEqual(stateParse(''), stateDefault());
	assert.equal(stateFormat(stateDefault()), '', 'defaults are left out');
});

test('filter: terms are those the server takes, once each and no more than it takes', () => {
	const s = stateParse('#hide=a&focus=b&focus=b&focus=&blur=c&tag_ignore=d');
	assert.deepEqual(s.filters, [['focus', 'b'], ['hide', 'a'], ['tag_ignore', 'd']]);
	assert.equal(stateParse(`#${Array.from({ length: 40 }, (_, i) => `show=${i}`).join('&')}`).filters.length, FILTERS_MAX);
	assert.deepEqual(filterAdd(s.filters, 'focus', 'b'), s.filters);
	assert.deepEqual(filterAdd([], 'tag', 'size=1mb:'), [['tag', 'size=1mb:']]);
});

test('url: the last hour keeps moving', () => {
	const s = { ...stateDefault(), range: { kind: 'last', seconds: 3600 } as const };
	assert.equal(stateFormat(s), 'range=1h');
	assert.deepEqual(stateParse('#range=1h').range, s.range);
});

test('url: what cannot be read is as if it were not there', () => {
	const s = stateParse('#range=9999999999d&from=5&to=3&unit=watts&sort=up&theme=pink&label=nocolon&label=:x&%zz=1&live=maybe');
	assert.deepEqual(s, stateDefault());
	assert.equal(stateParse(`#${'label=a:b&'.repeat(1000)}`).labels.length, 32);
});

test('time: durations as the API takes them', () => {
	for (const text of ['5m', '15m', '1h', '6h', '24h', '90s']) assert.equal(durationFormat(durationParse(text)!), text);
	for (const text of ['', '0m', '-1h', '1w', '1.5h', '15', '99999999d']) assert.equal(durationParse(text), null);
	assert.deepEqual(rangeParams({ kind: 'last', seconds: 900 }), { from: 'now-15m', to: 'now' });
	assert.deepEqual(rangeParams({ kind: 'between', from: 5, to: 9 }), { from: '5', to: '9' });
});

test('time: ranges that are none are refused', () => {
	for (const [from, to] of [[5, 5], [9, 5], [NaN, 5], [0, Infinity], [-1, 5]]) assert.equal(rangeBetween(from, to), null);
	assert.deepEqual(rangeBetween(1.2, 3.4), { kind: 'between', from: 1, to: 4 });
});

test('time: a range names its days only where needed', () => {
	const noon = new Date(2026, 10, 21, 12, 0, 0).getTime();
	const at = (hours: number) => noon + hours * 3_600_000;
	assert.equal(rangeFormat({ kind: 'between', from: noon, to: at(1) }, at(2)), '12:00:00 – 13:00:00');
	assert.equal(rangeFormat({ kind: 'between', from: noon, to: at(1) }, at(48)), '2026-11-21 12:00:00 – 13:00:00');
	assert.equal(rangeFormat({ kind: 'between', from: noon, to: at(24) }, at(24)), '2026-11-21 12:00:00 – 2026-11-22 12:00:00');
	assert.equal(inputParse(inputFormat(noon)), noon);
});

test('format: values in the unit of their type', () => {
	const cases: [number, string, string][] = [
		[0, 'nanoseconds', '0 ns'], [999, 'nanoseconds', '999 ns'], [1500, 'nanoseconds', '1.50 µs'], [12.34e6, 'nanoseconds', '12.3 ms'],
		[999.9e6, 'nanoseconds', '1.00 s'], [61e9, 'nanoseconds', '1.02 min'], [7200e9, 'nanoseconds', '2.00 h'], [2, 'seconds', '2.00 s'],
		[1536, 'bytes', '1.50 KiB'], [3 * 2 ** 30, 'bytes', '3.00 GiB'], [1234, 'count', '1,234'], [1_234_567, 'samples', '1.23 M'], [5, 'objects', '5 objects'],
	];
	for (const [v, unit, text] of cases) assert.equal(formatValue(v, unit), text);
});

test('name: folders before a package or class are dropped, nothing else is', () => {
	const cases: [string, string][] = [
		['google.golang.org/grpc.(*Server).Serve', 'grpc.(*Server).Serve'], ['java/util/HashMap.get', 'HashMap.get'], ['main', 'main'],
		['std::map<a/b, c>::at', 'std::map<a/b, c>::at'], ['f(a/b)', 'f(a/b)'], ['LazyCompile:*x /srv/app.js:12', 'LazyCompile:*x /srv/app.js:12'],
		['libc.so.6+0x10', 'libc.so.6+0x10'], ['a/', 'a/'], ['', ''],
	];
	for (const [name, want] of cases) assert.equal(shortName(name), want);
});

test('format: a share is never 0 % of something that is there', () => {
	assert.equal(formatShare(0, 10), '0 %');
	assert.equal(formatShare(1, 1e9), '<0.01 %');
	assert.equal(formatShare(1, 8), '12.5 %');
	assert.equal(formatShare(5, 5), '100 %');
	assert.equal(formatShare(99_999, 100_000), '100 %');
	assert.equal(formatShare(0, 0), '0 %');
	assert.equal(formatAge(4_400), '4 s');
	assert.equal(formatAge(3 * 60_000), '3 min');
	assert.equal(formatAge(50 * 3_600_000), '2 d');
	assert.equal(formatAge(-5_000), '0 s');
});

const SERIES: Series = {
	type: 'cpu', unit: 'nanoseconds', from_ms: 0, step_ms: 10_000, values: [20e9, null, 0, 5e9], covered_ms: [10_000, 0, 10_000, 5_000],
	capacity_cores: [4, null, 4, 2],
};

test('series: cores count only the time that was watched; a gap is no zero', () => {
	assert.deepEqual(ratesOf(SERIES, 'cores').values, [2, null, 0, 1]);
	assert.deepEqual(ratesOf(SERIES, 'percent').values, [50, null, 0, 50]);
	assert.deepEqual(ratesOf({ ...SERIES, type: 'lock-time' }, 'percent').values, [2e9, null, 0, 1e9], 'waiting is no share of the CPUs');
	assert.deepEqual(ratesOf({ ...SERIES, unit: 'bytes', values: [1000, null, 0, 50] }, 'cores').values, [100, null, 0, 10]);
	assert.match(summaryOf(ratesOf(SERIES, 'cores'), 'CPU'), /mean 1\.00, highest 2\.00, latest 1\.00; 1 of 4 steps without data/);
});

test('series: gaps are hatched, the step still being filled is not', () => {
	assert.deepEqual(gapsOf([1, null, null, 2, null], 0, 10_000, 50_000), [[1, 3]]);
	assert.deepEqual(gapsOf([1, null, null, 2, null], 0, 10_000, 500_000), [[1, 3], [4, 5]]);
	assert.deepEqual(gapsOf([null, null], 0, 10_000, 200_000), [[0, 2]]);
});

/* WCAG contrast of hsl colours against the label colours of style.css. */
function luminance(hsl: string): number {
	const [h, s, l] = /hsl\(([-\d.]+) ([\d.]+)% ([\d.]+)%\)/.exec(hsl)!.slice(1).map(Number);
	const f = (n: number): number => {
		const k = (n + (((h % 360) + 360) % 360) / 30) % 12;
		const v = l / 100 - (s / 100) * Math.min(l / 100, 1 - l / 100) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
		return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
	};
	return 0.2126 * f(0) + 0.7152 * f(8) + 0.0722 * f(4);
}

test('colour: labels are readable on every box in both themes', () => {
	const white = 0.908; /* #f3f5f8 */
	const black = 0.0093; /* #15181d */
	for (const shades of frameColors(true)) for (const c of shades) assert.ok((white + 0.05) / (luminance(c) + 0.05) >= 4.5, c);
	for (const shades of frameColors(false)) for (const c of shades) assert.ok((luminance(c) + 0.05) / (black + 0.05) >= 4.5, c);
	assert.equal(nameHash('main'), nameHash('main'));
	assert.notEqual(nameHash('main') % 8, nameHash('mail') % 8);
});

test('loss: what is missing stands apart from what is there without a whole stack', () => {
	const lost = { ring_full: 2, truncated: 5, incomplete: 9, throttled: 7, window_full: 0, of_the_future: 1 };
	assert.deepEqual(missingOf(lost), [
		{ n: 7, text: 'the kernel throttled sampling' },
		{ n: 2, text: 'the ring between kernel and agent was full' },
		{ n: 1, text: 'of_the_future' },
	]);
	assert.deepEqual(cutOf(lost).map((l) => l.n), [9, 5]);
});

test('selector: braces may be left out, and places in a refusal are those of what was written', () => {
	for (const [text, query] of [
		['', ''], ['  ', ''], ['service=~"a.*",thread_name!="gc"', '{service=~"a.*",thread_name!="gc"}'], [' a="{" ', '{a="{"}'],
		['{a="1"}', '{a="1"}'], ['cpu{a="1"}', 'cpu{a="1"}'], ['cpu:nanoseconds', 'cpu:nanoseconds'], ['cpu {}', 'cpu {}'], ['a', 'a'],
	]) assert.equal(selectorQuery(text), query);
	assert.equal(selectorProblem('host "a"', 'query: at character 7: expected = after "host"'), 'At character 6: expected = after "host"');
	assert.equal(selectorProblem('{host "a"}', 'query: at character 7: expected = after "host"'), 'At character 7: expected = after "host"');
	const inner = 'query: at character 8: in the pattern: at character 3: missing closing parenthesis';
	assert.equal(selectorProblem('host=~"(a"', inner), 'At character 7: in the pattern: at character 3: missing closing parenthesis');
});

test('compare: the baseline is as long as the range, earlier or elsewhere', () => {
	const b = { from: 10_000_000, to: 10_900_000 };
	assert.deepEqual(baseMs({ kind: 'before' }, b), { from: 9_100_000, to: 10_000_000 });
	assert.deepEqual(baseMs({ kind: 'earlier', seconds: 3600 }, b), { from: 6_400_000, to: 7_300_000 });
	assert.deepEqual(baseMs({ kind: 'earlier', seconds: 86_400 }, b), { from: 0, to: 1 }, 'not before 1970');
	assert.deepEqual(baseMs({ kind: 'between', from: 5, to: 9 }, b), { from: 5, to: 9 });
	for (const text of ['before', '1h', '24h', '168h', '5..9']) assert.equal(baseText(baseParse(text)!), text);
	for (const text of [null, '', 'after', '9..5', '5..', '1w']) assert.equal(baseParse(text), null);
	assert.deepEqual(['before', '24h', '2h'].map((t) => baseName(baseParse(t)!, 0)), ['Right before', '1 day earlier', '2h earlier']);
});

test('compare: what may be chance stands behind what is not, and says so', () => {
	const value = (a: number, b: number, significant?: boolean): ChangedValue => {
		const delta = (b - a) / 100;
		return { a, b, share_a: a / 100, share_b: b / 100, delta, ...(significant === undefined ? {} : { low: delta - 0.01, high: delta + 0.01, significant }) };
	};
	const row = (name: string, v: ChangedValue): ChangedFunction => ({ name, file: '', module: '', self: v, total: value(1, 1) });
	const rows = [row('chance', value(10, 40, false)), row('new', value(0, 5, true)), row('gone', value(20, 0, true)), row('same', value(7, 7, false))];
	const names = (move: 'all' | 'grew' | 'shrank'): string[] => changesOf(rows, 'self', move).map((f) => f.name);
	assert.deepEqual(names('all'), ['gone', 'new', 'chance']);
	assert.deepEqual(names('grew'), ['new', 'chance']);
	assert.deepEqual(names('shrank'), ['gone']);
	assert.deepEqual(changesOf(rows, 'total', 'all'), []);
	assert.deepEqual(rows.map((f) => verdictFormat(f.self)), ['may be chance', 'new', 'gone', 'may be chance']);
	assert.match(changeTitle(rows[2].self), /^−20\.00 points of the share\. 95 % interval −21\.00 to −19\.00 points: more than chance$/);
	assert.match(changeTitle(value(1, 2)), /Not tested/);
});

test('profiles: one is shown alone, with its labels in place of none', () => {
	const x = { service: 'api', host: 'web-1', zone: 'b', type: 'cpu:nanoseconds', from_ms: 5000, to_ms: 5000, value: 1 };
	const s = exemplarState({ ...stateDefault(), labels: [['thread_name', 'gc'], ['host', 'web-1']], fn: 'f', zoom: ['a'] }, x);
	assert.equal(stateFormat(s), 'service=api&label=thread_name:gc&label=host:web-1&label=zone:b&from=5000&to=5001&fn=f');
	assert.equal(exemplarPlace(x), 'api · web-1 · zone b');
	assert.equal(exactPattern('std::map<int, char>::operator[](int&&) #1'), '^std::map<int,\\ char>::operator\\[\\]\\(int&&\\)\\ \\#1$');
});
