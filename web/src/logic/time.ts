/* SPDX-License-Identifier: Apache-2.0 */
/* time.ts: the range looked at: the last so many seconds, or from one moment
 * to another. */

export type Range = { kind: 'last'; seconds: number } | { kind: 'between'; from: number; to: number /* ms */ };

export const PRESETS: readonly (readonly [label: string, seconds: number])[] = [
	['5m', 300], ['15m', 900], ['1h', 3600], ['6h', 21_600], ['24h', 86_400],
];
export const RANGE_DEFAULT: Range = { kind: 'last', seconds: 900 };

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };
const MAX_SECONDS = 400 * 86_400;
const MAX_MS = 8.64e15; /* of a Date */

export function durationParse(text: string): number | null {
	const m = /^(\d{1,8})([smhd])$/.exec(text);
	const seconds = m ? Number(m[1]) * UNITS[m[2]] : 0;
	return seconds > 0 && seconds <= MAX_SECONDS ? seconds : null;
}

export function durationFormat(seconds: number): string {
	for (const unit of ['h', 'm'] as const) if (seconds % UNITS[unit] === 0) return `${seconds / UNITS[unit]}${unit}`;
	return `${seconds}s`;
}

export function rangeBetween(from: number, to: number): Range | null {
	if (!(from >= 0 && to > from && to <= MAX_MS)) return null;
	return { kind: 'between', from: Math.floor(from), to: Math.ceil(to) };
}

/* As the API takes it. */
export function rangeParams(range: Range): { from: string; to: string } {
	if (range.kind === 'last') return { from: `now-${durationFormat(range.seconds)}`, to: 'now' };
	return { from: String(range.from), to: String(range.to) };
}

export function rangeMs(range: Range, now: number): { from: number; to: number } {
	return range.kind === 'last' ? { from: now - range.seconds * 1000, to: now } : { from: range.from, to: range.to };
}

const two = (n: number): string => String(n).padStart(2, '0');

export function clockFormat(ms: number, withSeconds = true): string {
	const d = new Date(ms);
	return `${two(d.getHours())}:${two(d.getMinutes())}${withSeconds ? `:${two(d.getSeconds())}` : ''}`;
}

export function dayFormat(ms: number): string {
	const d = new Date(ms);
	return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

/* "12:03:10 – 12:08:00", with days where it is not one day, or not today. */
export function rangeFormat(range: Range, now: number): string {
	if (range.kind === 'last') return `last ${durationFormat(range.seconds)}`;
	const from = dayFormat(range.from);
	const to = dayFormat(range.to);
	if (from === to && from === dayFormat(now)) return `${clockFormat(range.from)} – ${clockFormat(range.to)}`;
	return `${from} ${clockFormat(range.from)} – ${from === to ? '' : `${to} `}${clockFormat(range.to)}`;
}

/* What <input type=datetime-local> holds. */
export const inputFormat = (ms: number): string => `${dayFormat(ms)}T${clockFormat(ms)}`;
export const inputParse = (text: string): number => new Date(text).getTime();
