/* SPDX-License-Identifier: Apache-2.0 */
/* theme.ts: the colours a canvas paints with, taken from the page's CSS. */
import { changeColors, frameColors } from '../logic/color';

export interface CanvasTheme {
	background: string;
	frames: string[][];
	changes: string[]; /* by changeStep() */
	label: string;
	muted: string; /* runs of small boxes, and boxes a search did not find */
	mutedLabel: string;
	match: string;
	matchLabel: string;
	hatch: string;
	doubt: string; /* dots below boxes that are less certain */
	accent: string;
	border: string; /* '' = none */
}

const FORCED: CanvasTheme = {
	background: 'Canvas',
	frames: frameColors(true).map((shades) => shades.map(() => 'ButtonFace')),
	changes: changeColors(true).map(() => 'ButtonFace'),
	label: 'ButtonText',
	muted: 'Canvas',
	mutedLabel: 'GrayText',
	match: 'Highlight',
	matchLabel: 'HighlightText',
	hatch: 'CanvasText',
	doubt: 'CanvasText',
	accent: 'CanvasText',
	border: 'CanvasText',
};

export function canvasTheme(element: Element): CanvasTheme {
	if (matchMedia('(forced-colors: active)').matches) return FORCED;
	const style = getComputedStyle(element);
	const color = (name: string): string => style.getPropertyValue(name).trim();
	const dark = color('--is-dark') === '1';
	return {
		background: color('--panel'),
		frames: frameColors(dark),
		changes: changeColors(dark),
		label: color('--box-label'),
		muted: color('--box-muted'),
		mutedLabel: color('--box-muted-label'),
		match: color('--box-match'),
		matchLabel: color('--box-match-label'),
		hatch: color('--box-hatch'),
		doubt: color('--box-doubt'),
		accent: color('--accent'),
		border: '',
	};
}
