/* SPDX-License-Identifier: Apache-2.0 */
/* text.ts: labels cut to a width without asking the canvas each time: widths
 * of characters are measured once, a label is their sum. */

import { shortName } from '../logic/name';

export class TextFitter {
	private readonly widths = new Map<number, number>();
	private ellipsis = 0;

	constructor(
		private readonly ctx: CanvasRenderingContext2D,
		readonly font: string,
	) {
		ctx.font = font;
		this.ellipsis = ctx.measureText('…').width;
	}

	private widthOf(code: number): number {
		let w = this.widths.get(code);
		if (w === undefined) {
			w = this.ctx.measureText(String.fromCodePoint(code)).width;
			this.widths.set(code, w);
		}
		return w;
	}

	/* The name if it fits, else its short form, cut where that is too wide. */
	fitName(name: string, width: number): string {
		const whole = this.fit(name, width);
		return whole === name ? name : this.fit(shortName(name), width);
	}

	/* The text, or its start and an ellipsis, or '' where not even two
	 * characters and the ellipsis fit. */
	fit(text: string, width: number): string {
		let used = 0;
		let cut = 0; /* where an ellipsis would still fit */
		for (let i = 0; i < text.length;) {
			const code = text.codePointAt(i)!;
			used += this.widthOf(code);
			i += code > 0xffff ? 2 : 1;
			if (used > width) return cut >= 2 ? `${text.slice(0, cut)}…` : '';
			if (used + this.ellipsis <= width) cut = i;
		}
		return text;
	}
}
