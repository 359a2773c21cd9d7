/* SPDX-License-Identifier: Apache-2.0 */
/* popover.tsx: a <details> that closes on Escape and on a press elsewhere. What
 * is in it is made anew each time it opens. */
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

const EDGE = 12; /* CSS pixels that stay free beside it */

export interface PopoverProps {
	label: ComponentChildren;
	title: string;
	class?: string;
	children: (close: () => void) => ComponentChildren;
}

export function Popover(props: PopoverProps) {
	const ref = useRef<HTMLDetailsElement>(null);
	const body = useRef<HTMLDivElement>(null);
	const [isOpen, setOpen] = useState(false);
	const close = (): void => {
		if (ref.current) ref.current.open = false;
		setOpen(false); /* the event may be one with that of the next opening */
	};
	/* Not beyond the right edge, wherever its button has ended up. */
	useLayoutEffect(() => {
		if (!isOpen || !body.current) return;
		body.current.style.transform = '';
		const beyond = body.current.getBoundingClientRect().right - (document.documentElement.clientWidth - EDGE);
		if (beyond > 0) body.current.style.transform = `translateX(${-beyond}px)`;
	}, [isOpen]);
	useEffect(() => {
		const onPress = (e: Event): void => {
			if (ref.current?.open && !ref.current.contains(e.target as Node)) close();
		};
		addEventListener('pointerdown', onPress);
		return () => removeEventListener('pointerdown', onPress);
	}, []);
	const onKey = (e: KeyboardEvent): void => {
		if (e.key !== 'Escape' || !ref.current?.open) return;
		e.stopPropagation();
		close();
		ref.current.querySelector('summary')?.focus();
	};
	return (
		<details class={`popover ${props.class ?? ''}`} ref={ref} onKeyDown={onKey} onToggle={(e) => setOpen(e.currentTarget.open)}>
			<summary title={props.title}>{props.label}</summary>
			<div class="popover-body" ref={body}>{isOpen && props.children(close)}</div>
		</details>
	);
}
