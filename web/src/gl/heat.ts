/* SPDX-License-Identifier: Apache-2.0 */
/* heat.ts: a heat map on one canvas.
 *
 *   | 750 ms  | cells, one pixel each on a picture of    |
 *   | 500     | columns x rows, drawn to the plot's size |
 *   | 0       |                                          |
 *             12:03:10          12:04:00
 *
 * Cells wider than a pixel keep their edges, narrower ones are averaged. The
 * class knows no DOM but its canvas, as FlameCanvas. */
import type { Heatmap } from '../api/types';
import { HEAT_COLUMNS, heatOf, heatRamp, heatTop, rgbParse, type HeatCell } from '../logic/heat';
import { clockFormat, dayFormat } from '../logic/time';

const LEFT = 52; /* as wide as the axis of the line chart, about */
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 20;
const TICK_SPACE = 84;
const FONT = '11px system-ui, sans-serif';

export interface HeatTheme {
	ramp: [r: number, g: number, b: number][];
	background: string;
	text: string;
	line: string;
}

export function heatTheme(element: Element): HeatTheme {
	const style = getComputedStyle(element);
	const color = (name: string): string => style.getPropertyValue(name).trim();
	if (matchMedia('(forced-colors: active)').matches)
		return { ramp: heatRamp([style.backgroundColor, style.color].map(rgbParse)), background: 'Canvas', text: 'CanvasText', line: 'CanvasText' };
	return { ramp: heatRamp(color('--heat').split(',').map(rgbParse)), background: color('--panel'), text: color('--muted'), line: color('--line') };
}

export interface Rect {
	x: number;
	y: number;
	w: number;
	h: number;
}

export class HeatCanvas {
	private readonly ctx: CanvasRenderingContext2D;
	private readonly picture = document.createElement('canvas');
	private map: Heatmap | null = null;
	private width = 0;
	private height = 0;
	private dpr = 1;
	private frame = 0;

	constructor(
		readonly canvas: HTMLCanvasElement,
		private theme: HeatTheme,
	) {
		this.ctx = canvas.getContext('2d', { alpha: false })!;
	}

	setTheme(theme: HeatTheme): void {
		this.theme = theme;
		this.makePicture();
	}

	setMap(map: Heatmap): void {
		this.map = map;
		this.makePicture();
	}

	setSize(width: number, height: number, dpr: number): void {
		if (width === this.width && height === this.height && dpr === this.dpr) return;
		this.width = width;
		this.height = height;
		this.dpr = dpr;
		this.canvas.style.width = `${width}px`;
		this.canvas.style.height = `${height}px`;
		this.canvas.width = Math.max(1, Math.round(width * dpr));
		this.canvas.height = Math.max(1, Math.round(height * dpr));
		this.paint();
	}

	private plot(): Rect {
		return { x: LEFT, y: TOP, w: Math.max(1, this.width - LEFT - RIGHT), h: Math.max(1, this.height - TOP - BOTTOM) };
	}

	/* Where a cell is, in CSS pixels of the canvas. */
	cellRect({ column, row }: HeatCell, columns = 1): Rect {
		const p = this.plot();
		const w = p.w / (this.map?.columns.length || 1);
		const h = p.h / (this.map?.rows ?? 1);
		return { x: p.x + column * w, y: p.y + p.h - (row + 1) * h, w: w * columns, h };
	}

	/* The columns [first, last] over all rows. */
	columnsRect(first: number, last: number): Rect {
		const p = this.plot();
		return { ...this.cellRect({ column: first, row: 0 }, last - first + 1), y: p.y, h: p.h };
	}

	/* The cell at a point; beside the plot the nearest one, if asked for. */
	hit(x: number, y: number, isNear: boolean): HeatCell | null {
		const p = this.plot();
		const m = this.map;
		if (!m || m.columns.length === 0 || (!isNear && (x < p.x || x >= p.x + p.w || y < p.y || y >= p.y + p.h))) return null;
		const at = (part: number, n: number): number => Math.max(0, Math.min(n - 1, Math.floor(part * n)));
		return { column: at((x - p.x) / p.w, m.columns.length), row: at(1 - (y - p.y) / p.h, m.rows) };
	}

	/* "rgb(r,g,b)" of what is on the canvas in the middle of a cell, for tests. */
	colorAt(cell: HeatCell): string {
		this.paint();
		const r = this.cellRect(cell);
		return `rgb(${[...this.ctx.getImageData(Math.floor((r.x + r.w / 2) * this.dpr), Math.floor((r.y + r.h / 2) * this.dpr), 1, 1).data].slice(0, 3).join(',')})`;
	}

	private makePicture(): void {
		const m = this.map;
		if (!m || m.columns.length === 0) return;
		const n = m.columns.length;
		this.picture.width = n;
		this.picture.height = m.rows;
		const { top } = heatTop(m);
		const image = new ImageData(n, m.rows);
		m.columns.forEach((cells, column) => {
			for (let row = 0; row < m.rows; row++)
				image.data.set([...this.theme.ramp[heatOf(cells[row] ?? 0, top)], 255], 4 * ((m.rows - 1 - row) * n + column));
		});
		this.picture.getContext('2d')!.putImageData(image, 0, 0);
		if (this.frame === 0) this.frame = requestAnimationFrame(() => this.paint());
	}

	private paint(): void {
		cancelAnimationFrame(this.frame);
		this.frame = 0;
		const { ctx, dpr, theme } = this;
		ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
		ctx.fillStyle = theme.background;
		ctx.fillRect(0, 0, this.width, this.height);
		const m = this.map;
		if (!m || m.columns.length === 0) return;
		const p = this.plot();
		ctx.imageSmoothingEnabled = m.columns.length > p.w * dpr || m.rows > p.h * dpr;
		ctx.drawImage(this.picture, p.x, p.y, p.w, p.h);
		ctx.strokeStyle = theme.line;
		ctx.strokeRect(p.x - 0.5, p.y - 0.5, p.w + 1, p.h + 1);
		this.paintAxes(m, p);
	}

	private paintAxes(m: Heatmap, p: Rect): void {
		const { ctx } = this;
		ctx.fillStyle = this.theme.text;
		ctx.font = FONT;
		ctx.textAlign = 'right';
		ctx.textBaseline = 'middle';
		const ticks = HEAT_COLUMNS.find((c) => c.seconds * 1000 === m.column_ms)?.ticks ?? [];
		ticks.forEach((text, i) => ctx.fillText(text, p.x - 6, p.y + p.h - (i / ticks.length) * p.h - (i === 0 ? 4 : 0)));
		ctx.textAlign = 'center';
		ctx.textBaseline = 'top';
		const span = m.columns.length * m.column_ms;
		const step = niceStep(span / Math.max(1, p.w / TICK_SPACE));
		const zone = new Date(m.from_ms).getTimezoneOffset() * 60_000;
		for (let t = Math.ceil((m.from_ms - zone) / step) * step + zone; t <= m.from_ms + span; t += step) {
			const x = p.x + ((t - m.from_ms) / span) * p.w;
			const clock = clockFormat(t, step < 60_000);
			const half = ctx.measureText(clock).width / 2;
			if (x - half < p.x - 6 || x + half > this.width) continue;
			ctx.fillText(step >= 86_400_000 || clock === '00:00' ? dayFormat(t).slice(5) : clock, x, p.y + p.h + 5);
		}
	}
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/* The smallest round step that is no smaller. */
function niceStep(ms: number): number {
	const step = STEPS_S.find((s) => s * 1000 >= ms);
	return step ? step * 1000 : Math.ceil(ms / 86_400_000) * 86_400_000;
}
