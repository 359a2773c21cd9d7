/* SPDX-License-Identifier: Apache-2.0 */
/* format.ts: numbers as a person reads them, three significant digits. */

function digits(v: number): string {
	const a = Math.abs(v);
	if (a === 0) return '0';
	return a >= 100 ? v.toFixed(0) : a >= 10 ? v.toFixed(1) : a >= 0.01 ? v.toFixed(2) : v.toPrecision(1);
}

/* Largest step first; a value is shown in the first it reaches when rounded. */
function scaled(v: number, steps: readonly (readonly [number, string])[]): string {
	const a = Math.abs(v);
	for (const [size, name] of steps) if (a >= size * 0.9995) return `${digits(v / size)} ${name}`.trimEnd();
	const [size, name] = steps[steps.length - 1];
	return `${digits(v / size)} ${name}`.trimEnd();
}

const NS: readonly (readonly [number, string])[] = [[3600e9, 'h'], [60e9, 'min'], [1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']];
const BYTES: readonly (readonly [number, string])[] = [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB'], [1, 'B']];
const COUNT: readonly (readonly [number, string])[] = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']];
const PER_SECOND: Record<string, number> = { nanoseconds: 1, microseconds: 1e3, milliseconds: 1e6, seconds: 1e9 };

export const formatCount = (v: number): string => (Math.abs(v) < 10_000 ? v.toLocaleString('en') : scaled(v, COUNT));
export const formatBytes = (v: number): string => scaled(v, BYTES);

/* A value of a profile type whose unit is `unit`. */
export function formatValue(v: number, unit: string): string {
	const ns = PER_SECOND[unit];
	if (ns !== undefined) return scaled(v * ns, NS);
	if (unit === 'bytes') return formatBytes(v);
	return unit === 'count' || unit === 'samples' || unit === '' ? formatCount(v) : `${formatCount(v)} ${unit}`;
}

/* Part of a whole: "12.3 %". Never "0 %" for something that is there. */
export function formatShare(part: number, whole: number): string {
	if (!(whole > 0)) return part > 0 ? '–' : '0 %';
	const p = (part / whole) * 100;
	if (p === 0) return '0 %';
	if (p < 0.01) return '<0.01 %';
	return `${p >= 99.995 ? '100' : p >= 10 ? p.toFixed(1) : p.toFixed(2)} %`;
}

/* "4 s", "3 min", "2 h", "5 d": how long ago. */
export function formatAge(ms: number): string {
	const s = Math.max(0, Math.round(ms / 1000));
	if (s < 120) return `${s} s`;
	if (s < 7200) return `${Math.round(s / 60)} min`;
	if (s < 172_800) return `${Math.round(s / 3600)} h`;
	return `${Math.round(s / 86_400)} d`;
}
