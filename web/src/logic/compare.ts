/* SPDX-License-Identifier: Apache-2.0 */
/* compare.ts: what the range looked at (B) is compared with (A), and how a
 * change reads. In the address:
 *
 *   base=before             as long a time, right before it
 *   base=1d                 the same time a day earlier
 *   base=1000..61000        from one moment to another, ms */
import type { ChangedFunction, ChangedValue } from '../api/types';
import { clockFormat, dayFormat, durationFormat, durationParse, rangeBetween, rangeFormat } from './time';

export type Base = { kind: 'before' } | { kind: 'earlier'; seconds: number } | { kind: 'between'; from: number; to: number /* ms */ };

export const BASES: readonly (readonly [name: string, base: Base])[] = [
	['Right before', { kind: 'before' }],
	['1 h earlier', { kind: 'earlier', seconds: 3600 }],
	['1 day earlier', { kind: 'earlier', seconds: 86_400 }],
	['7 days earlier', { kind: 'earlier', seconds: 604_800 }],
];

export function baseParse(text: string | null): Base | null {
	if (!text) return null;
	if (text === 'before') return { kind: 'before' };
	const between = /^(\d+)\.\.(\d+)$/.exec(text);
	if (between) {
		const range = rangeBetween(Number(between[1]), Number(between[2]));
		return range?.kind === 'between' ? range : null;
	}
	const seconds = durationParse(text);
	return seconds === null ? null : { kind: 'earlier', seconds };
}

export function baseText(base: Base): string {
	if (base.kind === 'between') return `${base.from}..${base.to}`;
	return base.kind === 'before' ? 'before' : durationFormat(base.seconds);
}

/* The range of A, in ms, where that of B is `b`. */
export function baseMs(base: Base, b: { from: number; to: number }): { from: number; to: number } {
	if (base.kind === 'between') return { from: base.from, to: base.to };
	const by = base.kind === 'before' ? b.to - b.from : base.seconds * 1000;
	return { from: Math.max(0, b.from - by), to: Math.max(1, b.to - by) };
}

export function baseName(base: Base, now: number): string {
	if (base.kind === 'between') return rangeFormat(base, now);
	return BASES.find(([, b]) => baseText(b) === baseText(base))?.[0] ?? `${durationFormat((base as { seconds: number }).seconds)} earlier`;
}

/* "11:45:00 – 12:00:00", with the day where it is not today. */
export function spanFormat(from: number, to: number, now: number): string {
	const day = dayFormat(from) === dayFormat(now) && dayFormat(to) === dayFormat(now) ? '' : `${dayFormat(from)} `;
	return `${day}${clockFormat(from)} – ${dayFormat(from) === dayFormat(to) ? '' : `${dayFormat(to)} `}${clockFormat(to)}`;
}

export const MOVES = ['all', 'grew', 'shrank'] as const;
export type Move = (typeof MOVES)[number];

/* Those that moved that way, what moved most first; what may be chance comes
 * after what is not. */
export function changesOf(rows: readonly ChangedFunction[], order: 'self' | 'total', move: Move): ChangedFunction[] {
	const isWanted = (delta: number): boolean => (move === 'all' ? delta !== 0 : move === 'grew' ? delta > 0 : delta < 0);
	const chance = (f: ChangedFunction): number => (f[order].significant === false ? 1 : 0);
	return rows.filter((f) => isWanted(f[order].delta))
		.sort((x, y) => chance(x) - chance(y) || Math.abs(y[order].delta) - Math.abs(x[order].delta));
}

const points = (v: number): string => `${v < 0 ? '−' : '+'}${Math.abs(100 * v).toFixed(2)}`;

/* "+8.18": points of the share. */
export const deltaFormat = (v: ChangedValue): string => points(v.delta);

/* What the samples say of it: "new", "gone", "may be chance" ... */
export function verdictFormat(v: ChangedValue): string {
	const is = v.a === 0 && v.b > 0 ? 'new' : v.b === 0 && v.a > 0 ? 'gone' : '';
	return v.significant === false ? 'may be chance' : is;
}

export function changeTitle(v: ChangedValue): string {
	const tested = v.significant === undefined ? 'Not tested: how many samples there are is not known' :
		`95 % interval ${points(v.low!)} to ${points(v.high!)} points: ${v.significant ? 'more than chance' : 'may be chance'}`;
	return `${deltaFormat(v)} points of the share. ${tested}`;
}
