/* SPDX-License-Identifier: Apache-2.0 */
/* flame_hook.ts: window.__flame, by which tests (and scripts) see what a
 * canvas shows. Places are CSS pixels of the window, ready for a click. */
import type { Box, FlameCanvas } from '../gl/flame';

export interface FlameHook {
	/* The widest box of a function on the screen; null where there is none. */
	boxAt(name: string): { x: number; y: number; w: number; h: number; share: number } | null;
	zoomPath(): string[];
	displayList(): Box[];
	frameTimes(): number[]; /* ms of script per painted frame, the newest last */
	frameCount(): number; /* frames painted so far */
}

declare global {
	interface Window {
		__flame?: FlameHook;
	}
}

export function exposeFlame(flame: FlameCanvas, zoom: () => readonly string[]): void {
	const onScreen = (): Box[] => {
		const at = flame.canvas.getBoundingClientRect();
		return flame.displayList().map((b) => {
			const x0 = Math.max(b.x, 0);
			const x1 = Math.min(b.x + b.w, at.width);
			return { ...b, x: at.left + x0, y: at.top + b.y, w: Math.max(x1 - x0, 0) };
		});
	};
	window.__flame = {
		boxAt(name) {
			let best: Box | null = null;
			for (const b of onScreen()) if (b.name === name && !b.isRun && b.w > (best?.w ?? 0)) best = b;
			return best && { x: best.x, y: best.y, w: best.w, h: best.h, share: best.share };
		},
		zoomPath: () => [...zoom()],
		displayList: onScreen,
		frameTimes: () => [...flame.frameTimes],
		frameCount: () => flame.frameCount,
	};
}
