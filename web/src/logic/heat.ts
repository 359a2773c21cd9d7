/* SPDX-License-Identifier: Apache-2.0 */
/* heat.ts: a heat map of when samples were taken: a column is a second (or a
 * minute, an hour ...), a row the offset within it, the first at the bottom.
 *
 *   980 ms |   . .  #      cell (column, row) is
 *      ... | # # #  #      [from + column * column_ms + row * cell_ms, + cell_ms)
 *     0 ms | .   .  #
 *            12:03:10 11 ... */
import type { Heatmap } from '../api/types';
import { formatShare, formatValue } from './format';
import { isCpuTime } from './series';
import { clockFormat, dayFormat, rangeBetween, type Range } from './time';

export interface HeatColumn {
	seconds: number;
	rows: number;
	name: string;
	ticks: readonly string[]; /* at even distances from the bottom */
}

export const HEAT_COLUMNS: readonly HeatColumn[] = [
	{ seconds: 1, rows: 50, name: 'second', ticks: ['0', '250', '500', '750 ms'] },
	{ seconds: 60, rows: 60, name: 'minute', ticks: ['0', '15', '30', '45 s'] },
	{ seconds: 3600, rows: 60, name: 'hour', ticks: ['0', '15', '30', '45 min'] },
	{ seconds: 86_400, rows: 24, name: 'day', ticks: ['0', '6', '12', '18 h'] },
];
const MAX_COLUMNS = 1_500;
const SPREAD_CELL_MS = 60_000; /* smaller cells than a profile say nothing of samples without times */

export const heatFits = (c: HeatColumn, rangeMs: number): boolean => rangeMs / (c.seconds * 1000) <= MAX_COLUMNS;

/* That of `chosen` seconds if it is one and fits, else the finest that does. */
export function heatColumn(rangeMs: number, chosen: number): HeatColumn {
	const fitting = HEAT_COLUMNS.filter((c) => heatFits(c, rangeMs));
	return fitting.find((c) => c.seconds === chosen) ?? fitting[0] ?? HEAT_COLUMNS[HEAT_COLUMNS.length - 1];
}

export const heatCellMs = (h: Heatmap): number => h.column_ms / h.rows;

export function heatTotal(h: Heatmap): number {
	let sum = 0;
	for (const column of h.columns) for (const v of column) sum += v;
	return sum;
}

/* Why there is nothing to be drawn; '' = there is. */
export function heatNothing(h: Heatmap): string {
	if (heatTotal(h) === 0) return 'No samples in this range.';
	if (h.timed_share > 0 || heatCellMs(h) >= SPREAD_CELL_MS) return '';
	return "When these samples were taken is not known, only when their profiles were: there is nothing to show below a minute. " +
		"wick's agent and OTLP exporters send times of samples.";
}

/* What is only spread over its profile, in words; '' = next to nothing. */
export function heatSpread(h: Heatmap): string {
	return h.timed_share >= 0.995 ? '' : `${formatShare(1 - h.timed_share, 1)} has no times of its own and is spread evenly`;
}

/* The value of the strongest colour. A few cells far above all others would
 * leave the rest pale: then it is what all but 0.5 % of the cells stay below. */
export function heatTop(h: Heatmap): { top: number; isClipped: boolean } {
	const values = h.columns.flat().filter((v) => v > 0).sort((a, b) => a - b);
	const highest = values[values.length - 1] ?? 0;
	const most = values[Math.floor(values.length * 0.995)] ?? 0;
	return highest > 1.5 * most ? { top: most, isClipped: true } : { top: highest, isClipped: false };
}

export const N_HEATS = 32;

/* 0 = nothing there, else 1 to N_HEATS - 1. */
export const heatOf = (v: number, top: number): number => (v > 0 ? Math.max(1, Math.min(N_HEATS - 1, Math.round((v / top) * (N_HEATS - 1)))) : 0);

type Rgb = [r: number, g: number, b: number];

/* "#rrggbb" or "rgb(r, g, b)". */
export function rgbParse(text: string): Rgb {
	const hex = /^#(..)(..)(..)$/.exec(text.trim());
	if (hex) return [parseInt(hex[1], 16), parseInt(hex[2], 16), parseInt(hex[3], 16)];
	const [r = 0, g = 0, b = 0] = (text.match(/[\d.]+/g) ?? []).map(Number);
	return [r, g, b];
}

/* N_HEATS colours between the stops; even the least is apart from nothing. */
export function heatRamp(stops: readonly Rgb[]): Rgb[] {
	return Array.from({ length: N_HEATS }, (_, i) => {
		const at = i === 0 ? 0 : (0.14 + (0.86 * i) / (N_HEATS - 1)) * (stops.length - 1);
		const k = Math.min(Math.floor(at), stops.length - 2);
		return stops[k].map((v, c) => Math.round(v + (stops[k + 1][c] - v) * (at - k))) as Rgb;
	});
}

/* "2.00 cores" of CPU time, else the value. */
export function heatRate(h: Heatmap, v: number): string {
	return isCpuTime(h) ? `${(v / heatCellMs(h) / 1e6).toFixed(2)} cores` : formatValue(v, h.unit);
}

const millis = (ms: number): string => `.${String(Math.floor(ms % 1000)).padStart(3, '0')}`;

export interface HeatCell {
	column: number;
	row: number;
}

/* When a cell begins and ends, what is in it. */
export function heatCellText(h: Heatmap, { column, row }: HeatCell): { when: string; numbers: string } {
	const cell = heatCellMs(h);
	const from = h.from_ms + column * h.column_ms + row * cell;
	const clock = (ms: number): string => clockFormat(ms) + (cell < 1000 ? millis(ms) : '');
	const v = h.columns[column]?.[row] ?? 0;
	const rate = isCpuTime(h) ? `${heatRate(h, v)} · ` : '';
	const sum = (h.columns[column] ?? []).reduce((a, b) => a + b, 0);
	return {
		when: `${cell >= SPREAD_CELL_MS ? `${dayFormat(from)} ` : ''}${clock(from)} – ${clock(from + cell)}`,
		numbers: `${rate}${formatValue(v, h.unit)} · ${formatShare(v, sum)} of its column`,
	};
}

/* From the start of one column to the end of another, in any order. */
export function heatRange(h: Heatmap, a: number, b: number): Range | null {
	return rangeBetween(h.from_ms + Math.min(a, b) * h.column_ms, h.from_ms + (Math.max(a, b) + 1) * h.column_ms);
}

/* Where a key leads from a cell. */
export function heatMove(h: Heatmap, at: HeatCell, key: string): HeatCell | null {
	const by: Record<string, [number, number]> = {
		ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1], PageUp: [-10, 0], PageDown: [10, 0],
		Home: [-Infinity, 0], End: [Infinity, 0],
	};
	const step = by[key];
	if (!step) return null;
	const within = (v: number, n: number): number => Math.max(0, Math.min(n - 1, v));
	return { column: within(at.column + step[0], h.columns.length), row: within(at.row + step[1], h.rows) };
}

export function heatSummary(h: Heatmap, of: string): string {
	let best: HeatCell = { column: 0, row: 0 };
	h.columns.forEach((cells, column) => cells.forEach((v, row) => {
		if (v > h.columns[best.column][best.row]) best = { column, row };
	}));
	const { when, numbers } = heatCellText(h, best);
	return `Heat map of ${of}: ${h.columns.length} columns, ${h.rows} rows; highest ${numbers} at ${when}`;
}
