/* SPDX-License-Identifier: Apache-2.0 */
import type { Theme } from '../logic/url';
import { state, update } from './store';

const NEXT_THEME: Record<Theme, Theme> = { auto: 'dark', dark: 'light', light: 'auto' };
const THEME_ICON: Record<Theme, string> = { auto: '◐', dark: '●', light: '○' };

export function ThemeButton() {
	const { theme } = state.value;
	const label = `Theme: ${theme === 'auto' ? 'as the system' : theme}`;
	return (
		<button class="icon" data-testid="theme-toggle" aria-label={label} title={label}
			onClick={() => update({ theme: NEXT_THEME[theme] }, 'replace')}>
			{THEME_ICON[theme]}
		</button>
	);
}
