/* SPDX-License-Identifier: Apache-2.0 */
/* color.ts: a hue says what kind of code a box is, the shade within comes
 * from a hash of its name, so that a function looks the same everywhere and
 * at every refresh. Contrast of labels is at least 4.5:1 in both themes. */
import { KINDS } from './tree';

export const N_SHADES = 8;

/* By place in KINDS. Yellow and green look lighter than blue of the same
 * lightness, hence one of their own in the dark theme. */
const HUES: readonly (readonly [hue: number, dark: number, darkLightness: number, light: number])[] = [
	[220, 6, 34, 10], /* unknown */
	[28, 44, 33, 72], /* user */
	[212, 42, 35, 62], /* kernel */
	[52, 40, 28, 62], /* python */
	[72, 34, 27, 50], /* js */
	[350, 36, 37, 62], /* jvm */
	[186, 38, 29, 46], /* go */
	[148, 32, 28, 42], /* jit */
	[250, 8, 34, 18], /* synthetic */
];

export const KIND_LEGEND: readonly (readonly [name: string, kinds: readonly number[]])[] = [
	['user', [1]], ['kernel', [2]], ['python', [3]], ['js', [4]], ['jvm', [5]], ['go', [6]], ['jit', [7]], ['no name', [0]],
];

export function nameHash(name: string): number {
	let h = 0x811c9dc5;
	for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
	h ^= h >>> 15;
	return h >>> 0;
}

/* Of a comparison: how much less, nothing, how much more, in steps. Blue and
 * orange stay apart for every kind of colour blindness. */
export const N_CHANGES = 8; /* either way */

export function changeColors(dark: boolean): string[] {
	return Array.from({ length: 2 * N_CHANGES + 1 }, (_, i) => {
		const step = i - N_CHANGES;
		const part = Math.abs(step) / N_CHANGES;
		if (step === 0) return dark ? 'hsl(220 5% 32%)' : 'hsl(220 6% 86%)';
		const [hue, saturation] = step < 0 ? [212, 65] : [30, 85];
		return dark ? `hsl(${hue} ${20 + part * 45}% ${32 + part * 4}%)` : `hsl(${hue} ${saturation}% ${89 - part * 24}%)`;
	});
}

export const changeStep = (change: number): number => N_CHANGES + Math.sign(change) * Math.ceil(Math.min(1, Math.abs(change)) * N_CHANGES);

/* The colours of one theme: [kind][shade], a CSS colour each. */
export function frameColors(dark: boolean): string[][] {
	return KINDS.map((_, kind) => {
		const [hue, satDark, dark0, satLight] = HUES[kind];
		return Array.from({ length: N_SHADES }, (_unused, shade) => {
			const h = hue + (shade % 4) * 4 - 6;
			const step = (shade >> 1) - 1.5;
			return dark ? `hsl(${h} ${satDark}% ${dark0 + step * 3}%)` : `hsl(${h} ${satLight}% ${79 + step * 2.6}%)`;
		});
	});
}
