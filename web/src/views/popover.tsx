/* SPDX-License-Identifier: Apache-2.0 */
/* popover.tsx: a <details> that closes on Escape and on a press elsewhere. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export interface PopoverProps {
	label: ComponentChildren;
	title: string;
	class?: string;
	onOpen?: () => void;
	children: (close: () => void) => ComponentChildren;
}

export function Popover(props: PopoverProps) {
	const ref = useRef<HTMLDetailsElement>(null);
	const close = (): void => {
		if (ref.current) ref.current.open = false;
	};
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
		<details class={`popover ${props.class ?? ''}`} ref={ref} onKeyDown={onKey} onToggle={() => ref.current?.open && props.onOpen?.()}>
			<summary title={props.title}>{props.label}</summary>
			<div class="popover-body">{props.children(close)}</div>
		</details>
	);
}
