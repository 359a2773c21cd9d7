/* SPDX-License-Identifier: Apache-2.0 */
/* flame.ts: a call tree on one canvas the size of its viewport.
 *
 *   set*() -> invalidate() -> one animation frame: layout() if the view, size
 *   or marks changed -> paint() the display list, then the selected boxes' edges
 *
 * A zoom moves the view over ANIMATION_MS unless motion is to be reduced. The
 * class knows no DOM but its canvas: events, scrolling and the marks of
 * pointer and keyboard belong to views/flame_panel.tsx. */
import { changeStep, nameHash, N_SHADES } from '../logic/color';
import { changeOf, isGone } from '../logic/diff';
import { isDoubtful } from '../logic/found';
import { BOX_RUN, MARK_MATCH, MARK_SELECTED, displayListNew, layout, nodeAt, viewOf, type View } from '../logic/layout';
import { commonAncestor, isPruned, nodeLabel, nodeName, type Tree } from '../logic/tree';
import { KIND_UNNAMED } from '../api/slab';
import { TextFitter } from './text';
import type { CanvasTheme } from './theme';

const ANIMATION_MS = 140;
const LABEL_MIN_WIDTH = 26;
const MOVING_LABEL_MAX_BOXES = 1200; /* text is the dear part: with more it waits until the view stands */
const LABEL_PAD = 4;
const DOTS_MIN_WIDTH = 12; /* in narrower boxes they would be noise */
const DOTS_HEIGHT = 2;
const N_FRAME_TIMES = 512;

export interface Box {
	node: number;
	name: string;
	x: number;
	y: number;
	w: number;
	h: number;
	share: number; /* of the whole tree */
	isRun: boolean;
	isMatch: boolean;
	isDoubtful: boolean; /* has dots */
}

export class FlameCanvas {
	readonly frameTimes: number[] = []; /* ms of script per painted frame, newest last */
	frameCount = 0;
	private readonly ctx: CanvasRenderingContext2D;
	private readonly list = displayListNew();
	private text: TextFitter;
	private hatch: CanvasPattern | null = null;
	private dots: CanvasPattern | null = null;
	private tree: Tree | null = null;
	private shades = new Uint8Array(0); /* per function; 255 = not known yet */
	private view: View = { root: 0, left: 0, span: 0, top: 0 };
	private target = 0;
	private animation: { from: View; start: number } | null = null;
	private marks: Uint8Array | null = null;
	private hasMatches = false;
	private width = 0;
	private height = 0;
	private dpr = 1;
	private scroll = 0;
	private frame = 0;
	private isLayoutStale = true;

	constructor(
		readonly canvas: HTMLCanvasElement,
		private theme: CanvasTheme,
		readonly rowHeight: number,
		font: string,
	) {
		this.ctx = canvas.getContext('2d', { alpha: false })!;
		this.text = new TextFitter(this.ctx, font);
		this.setTheme(theme);
	}

	setTheme(theme: CanvasTheme): void {
		this.theme = theme;
		this.makePatterns();
		this.invalidate(false);
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
		this.makePatterns();
		/* Setting a size blanks the canvas: paint now, not a frame later. */
		this.isLayoutStale = true;
		this.paintFrame(performance.now());
	}

	/* Another tree, seen at `root`: nothing moves that has not changed. */
	setTree(tree: Tree, root: number): void {
		this.tree = tree;
		this.shades = new Uint8Array(tree.slab.funcName.length).fill(255);
		this.marks = null;
		this.jump(root);
	}

	setMarks(marks: Uint8Array | null, hasMatches: boolean): void {
		this.marks = marks;
		this.hasMatches = hasMatches;
		this.invalidate(true);
	}

	setScroll(y: number): void {
		if (y === this.scroll) return;
		this.scroll = y;
		this.invalidate(true);
	}

	zoomTo(node: number, isAnimated: boolean): void {
		if (!this.tree || node === this.target) return;
		if (!isAnimated) {
			this.jump(node);
			return;
		}
		/* The caller scrolls to the top: what was on the screen starts from there. */
		this.animation = { from: { ...this.view, top: this.view.top + this.scroll / this.rowHeight }, start: performance.now() };
		this.scroll = 0;
		this.target = node;
		this.invalidate(true);
	}

	private jump(node: number): void {
		this.animation = null;
		this.target = node;
		this.view = viewOf(this.tree!, node);
		this.invalidate(true);
	}

	/* The node at a point of the canvas, -1 = none. */
	hit(x: number, y: number): number {
		const t = this.tree;
		if (!t || !(this.view.span > 0) || x < 0 || x >= this.width || y < 0 || y >= this.height) return -1;
		const depth = Math.floor((y + this.scroll) / this.rowHeight + this.view.top);
		return nodeAt(t, this.view.root, this.view.left + (x / this.width) * this.view.span, depth);
	}

	/* What the canvas shows, in its own CSS pixels. */
	displayList(): Box[] {
		this.settle();
		return Array.from({ length: this.list.n }, (_, i) => this.boxOf(i));
	}

	private boxOf(i: number): Box {
		const { list } = this;
		const t = this.tree!;
		return {
			node: list.node[i],
			name: nodeName(t, list.node[i]),
			x: list.x[i],
			y: this.rowY(list.row[i]),
			w: list.w[i],
			h: this.rowHeight,
			share: t.total[list.node[i]] / t.total[0],
			isRun: (list.flags[i] & BOX_RUN) !== 0,
			isMatch: (list.flags[i] & MARK_MATCH) !== 0,
			isDoubtful: this.hasDots(i),
		};
	}

	/* Ends a running animation, so that what is reported is what stays. */
	private settle(): void {
		if (this.animation) this.jump(this.target);
		if (this.isLayoutStale) this.paintFrame(performance.now());
	}

	private rowY(row: number): number {
		return (row + Math.floor(this.view.top) - this.view.top) * this.rowHeight - this.scroll;
	}

	private invalidate(needsLayout: boolean): void {
		if (needsLayout) this.isLayoutStale = true;
		if (this.frame === 0) this.frame = requestAnimationFrame((now) => this.paintFrame(now));
	}

	private paintFrame(now: number): void {
		cancelAnimationFrame(this.frame);
		this.frame = 0;
		const start = performance.now();
		if (this.animation) this.animate(now);
		if (this.isLayoutStale) this.layout();
		this.paint();
		this.frameCount++;
		this.frameTimes.push(performance.now() - start);
		if (this.frameTimes.length > N_FRAME_TIMES) this.frameTimes.shift();
		if (this.animation) this.invalidate(true);
	}

	private animate(now: number): void {
		const t = this.tree!;
		const { from, start } = this.animation!;
		const to = viewOf(t, this.target);
		const part = Math.min(1, Math.max(0, (now - start) / ANIMATION_MS));
		if (part === 1) {
			this.animation = null;
			this.view = to;
			return;
		}
		const k = 1 - (1 - part) ** 3;
		const mix = (a: number, b: number): number => a + (b - a) * k;
		this.view = {
			root: commonAncestor(t, from.root, this.target),
			left: mix(from.left, to.left),
			span: mix(from.span, to.span),
			top: mix(from.top, to.top),
		};
	}

	private layout(): void {
		this.isLayoutStale = false;
		if (!this.tree) return;
		const first = Math.floor(this.scroll / this.rowHeight);
		const count = Math.ceil(this.height / this.rowHeight) + 2;
		layout(this.tree, this.view, this.width, { first, count }, this.marks, this.list);
	}

	private makePatterns(): void {
		this.hatch = this.pattern(8, this.theme.hatch, (c, size) => {
			c.lineWidth = Math.max(1, this.dpr);
			c.beginPath();
			for (const at of [-size, 0, size]) {
				c.moveTo(at, size);
				c.lineTo(at + size, 0);
			}
			c.stroke();
		});
		this.dots = this.pattern(4, this.theme.doubt, (c, size) => c.fillRect(0, 0, size / 2, size));
	}

	/* A tile of `css` pixels, drawn in device pixels and repeated. */
	private pattern(css: number, color: string, draw: (c: CanvasRenderingContext2D, size: number) => void): CanvasPattern | null {
		const size = Math.round(css * this.dpr);
		const tile = document.createElement('canvas');
		tile.width = tile.height = size;
		const c = tile.getContext('2d')!;
		c.strokeStyle = c.fillStyle = color;
		draw(c, size);
		const ret = this.ctx.createPattern(tile, 'repeat');
		ret?.setTransform(new DOMMatrix().scale(1 / this.dpr));
		return ret;
	}

	private hasDots(i: number): boolean {
		const { list } = this;
		return list.w[i] >= DOTS_MIN_WIDTH && (list.flags[i] & BOX_RUN) === 0 && isDoubtful(this.tree!, list.node[i]);
	}

	private colorOf(node: number): string {
		const t = this.tree!;
		if (t.diff) return this.theme.changes[changeStep(changeOf(t.diff, node))];
		const f = t.func[node];
		let shade = this.shades[f];
		if (shade === 255) {
			shade = nameHash(nodeName(t, node)) % N_SHADES;
			this.shades[f] = shade;
		}
		const kind = t.slab.funcKind[f];
		return (this.theme.frames[kind & KIND_UNNAMED ? 0 : kind] ?? this.theme.frames[0])[shade];
	}

	private paint(): void {
		const { ctx, dpr } = this;
		ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
		ctx.fillStyle = this.theme.background;
		ctx.fillRect(0, 0, this.width, this.height);
		if (!this.tree) return;
		ctx.font = this.text.font;
		ctx.textBaseline = 'middle';
		for (let i = 0; i < this.list.n; i++) this.paintBox(i);
		this.paintSelected();
	}

	private paintBox(i: number): void {
		const { ctx, list, theme, dpr } = this;
		const t = this.tree!;
		const node = list.node[i];
		const isRun = (list.flags[i] & BOX_RUN) !== 0;
		const isMatch = (list.flags[i] & MARK_MATCH) !== 0;
		const isHatched = (isPruned(t, node) || (t.diff !== undefined && isGone(t.diff, node))) && !isRun;
		const isMuted = this.hasMatches && !isMatch;
		/* Edges on whole device pixels; one of them stays free between boxes. */
		const x0 = Math.round(Math.max(list.x[i], -4) * dpr) / dpr;
		const x1 = Math.round(Math.min(list.x[i] + list.w[i], this.width + 4) * dpr) / dpr;
		const w = Math.max(x1 - x0 - (x1 - x0 >= 3 ? 1 / dpr : 0), 1 / dpr);
		const y = Math.round(this.rowY(list.row[i]) * dpr) / dpr;
		const h = this.rowHeight - 1 / dpr;
		ctx.fillStyle = isMatch ? theme.match : isMuted || isPruned(t, node) ? theme.muted : this.colorOf(node);
		if (isRun) ctx.globalAlpha = 0.6;
		ctx.fillRect(x0, y, w, h);
		ctx.globalAlpha = 1;
		if (isHatched && this.hatch) {
			ctx.fillStyle = this.hatch;
			ctx.fillRect(x0, y, w, h);
		}
		/* Where it meets what it called: from there its address was found. */
		if (this.dots && this.hasDots(i)) {
			ctx.fillStyle = this.dots;
			ctx.fillRect(x0, y + h - DOTS_HEIGHT, w, DOTS_HEIGHT);
		}
		if (theme.border && w >= 3) {
			ctx.strokeStyle = theme.border;
			ctx.strokeRect(x0 + 0.5, y + 0.5, w - 1, h - 1);
		}
		const from = Math.max(x0, 0) + LABEL_PAD;
		const room = Math.min(x1, this.width) - from - LABEL_PAD;
		if (room < LABEL_MIN_WIDTH - 2 * LABEL_PAD || (this.animation && list.n > MOVING_LABEL_MAX_BOXES)) return;
		const label = isRun ? this.text.fit('narrow frames', room) : this.text.fitName(nodeLabel(t, node), room);
		if (!label) return;
		ctx.fillStyle = isMatch ? theme.matchLabel : isMuted || isPruned(t, node) || isRun ? theme.mutedLabel : theme.label;
		ctx.fillText(label, from, y + h / 2 + 0.5);
	}

	private paintSelected(): void {
		const { list, ctx } = this;
		ctx.strokeStyle = this.theme.accent;
		ctx.lineWidth = 2;
		for (let i = 0; i < list.n; i++) {
			if ((list.flags[i] & MARK_SELECTED) === 0) continue;
			const x = Math.max(list.x[i], -4);
			const w = Math.min(list.x[i] + list.w[i], this.width + 4) - x;
			ctx.strokeRect(x + 1, this.rowY(list.row[i]) + 1, Math.max(w - 3, 1), this.rowHeight - 3);
		}
	}
}
