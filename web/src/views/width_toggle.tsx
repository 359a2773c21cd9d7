/* SPDX-License-Identifier: Apache-2.0 */
/* width_toggle.tsx: which side of a comparison the widths of boxes are of. */
import type { DiffWidth } from '../logic/diff';

const WIDTHS: readonly (readonly [DiffWidth, string, string])[] = [
	['b', 'B', 'Boxes as wide as their share of B'],
	['a', 'A', 'Boxes as wide as their share of A'],
	['gone', 'Gone', 'Only what B does not have, as wide as its share of A'],
];

export function WidthToggle({ width, onWidth }: { width: DiffWidth; onWidth: (width: DiffWidth) => void }) {
	return (
		<span class="segments small" role="group" aria-label="Width of boxes">
			{WIDTHS.map(([id, text, title]) => (
				<button key={id} data-testid={`width-${id}`} title={title} aria-pressed={width === id} onClick={() => onWidth(id)}>{text}</button>
			))}
		</span>
	);
}
