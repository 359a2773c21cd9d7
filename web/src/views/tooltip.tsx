/* SPDX-License-Identifier: Apache-2.0 */
/* tooltip.tsx: a box beside the pointer that stays within the window. What it
 * says is said by other means to who does not see it. */
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

export function TooltipBox({ x, y, testid, children }: { x: number; y: number; testid: string; children: ComponentChildren }) {
	const ref = useRef<HTMLDivElement>(null);
	useLayoutEffect(() => {
		const e = ref.current!;
		const left = Math.max(4, Math.min(x + 14, innerWidth - e.offsetWidth - 6));
		const top = y + 18 + e.offsetHeight > innerHeight ? y - e.offsetHeight - 10 : y + 18;
		e.style.transform = `translate(${left}px, ${Math.max(4, top)}px)`;
	});
	return <div class="tooltip" ref={ref} data-testid={testid} aria-hidden="true">{children}</div>;
}
