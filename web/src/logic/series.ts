/* SPDX-License-Identifier: Apache-2.0 */
/* series.ts: a series of sums as what a person reads: cores, percent of the
 * hosts' capacity, or units per second. */
import type { Series } from '../api/types';
import { formatValue } from './format';
import type { Unit } from './url';

export interface Rates {
	values: (number | null)[];
	format: (v: number) => string; /* "1.20" */
	tick: (v: number) => string; /* "1.2", on the axis */
	minTop: number;
	name: string; /* "cores" */
}

export const isCpuTime = (s: Pick<Series, 'type' | 'unit'>): boolean => s.unit === 'nanoseconds' && /^cpu(:|$)/.test(s.type);

const tick = (v: number): string => String(Number(v.toPrecision(6)));

/* Cores = nanoseconds of CPU per nanosecond that was watched. */
export function ratesOf(s: Series, unit: Unit): Rates {
	const perMs = (i: number): number | null => {
		const v = s.values[i];
		return v === null || !(s.covered_ms[i] > 0) ? null : v / s.covered_ms[i];
	};
	if (!isCpuTime(s)) {
		const values = s.values.map((_, i) => {
			const v = perMs(i);
			return v === null ? null : v * 1000;
		});
		const format = (v: number): string => `${formatValue(v, s.unit)}/s`;
		return { values, format, tick: format, minTop: 1, name: `${s.unit} per second` };
	}
	const cores = s.values.map((_, i) => {
		const v = perMs(i);
		return v === null ? null : v / 1e6;
	});
	if (unit === 'cores') return { values: cores, format: (v) => v.toFixed(v < 0.1 ? 3 : 2), tick, minTop: 0.02, name: 'cores' };
	const percent = cores.map((v, i) => {
		const capacity = s.capacity_cores[i];
		return v === null || !capacity ? null : (v / capacity) * 100;
	});
	return { values: percent, format: (v) => `${v.toFixed(v < 1 ? 2 : 1)} %`, tick: (v) => `${tick(v)} %`, minTop: 1, name: '% of host capacity' };
}

export function summaryOf(r: Rates, of: string): string {
	const known = r.values.filter((v): v is number => v !== null);
	if (known.length === 0) return `${of}: no data in this range`;
	const gaps = r.values.length - known.length;
	const high = known.reduce((a, b) => Math.max(a, b), 0);
	const mean = known.reduce((a, b) => a + b, 0) / known.length;
	return `${of} in ${r.name}: mean ${r.format(mean)}, highest ${r.format(high)}, latest ${r.format(known[known.length - 1])}` +
		(gaps ? `; ${gaps} of ${r.values.length} steps without data` : '');
}

const FRESH_MS = 30_000; /* a step this new may still be filled: no gap yet */

/* Steps without data as [first, past last). */
export function gapsOf(values: readonly (number | null)[], fromMs: number, stepMs: number, untilMs: number): [number, number][] {
	const ret: [number, number][] = [];
	for (let i = 0; i < values.length; i++) {
		if (values[i] !== null) continue;
		let end = i;
		while (end < values.length && values[end] === null) end++;
		const isFresh = end === values.length && fromMs + i * stepMs > untilMs - FRESH_MS;
		if (!isFresh) ret.push([i, end]);
		i = end;
	}
	return ret;
}
