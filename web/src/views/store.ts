/* SPDX-License-Identifier: Apache-2.0 */
/* store.ts: the state of the page and its address, which always agree. */
import { computed, effect, signal } from '@preact/signals';
import { stateFormat, stateParse, type PageState } from '../logic/url';

export const state = signal<PageState>(stateParse(location.hash));

/* What the server is asked for; zooming or searching does not change it. */
export const queryKey = computed(() => {
	const { service, type, labels, query, filters, range, lines } = state.value;
	return JSON.stringify([service, type, labels, query, filters, range, lines]);
});

/* `how` is 'push' for a step the back button undoes, 'replace' for typing and
 * the like. */
export function update(patch: Partial<PageState>, how: 'push' | 'replace' = 'push'): void {
	const next = { ...state.value, ...patch };
	const fragment = stateFormat(next);
	state.value = next;
	if (fragment === stateFormat(stateParse(location.hash))) return;
	const url = fragment ? `#${fragment}` : location.pathname;
	try {
		if (how === 'push') history.pushState(null, '', url);
		else history.replaceState(null, '', url);
	} catch {
		/* Too many changes in a short time are refused: the next one carries this one too. */
	}
}

addEventListener('popstate', () => {
	state.value = stateParse(location.hash);
});

const systemDark = matchMedia('(prefers-color-scheme: dark)');
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener('change', (e) => {
	systemIsDark.value = e.matches;
});

export const isDark = computed(() => (state.value.theme === 'auto' ? systemIsDark.value : state.value.theme === 'dark'));

/* The canvas and the chart repaint when this changes; the attribute is set
 * first, since they read their colours from it. */
export const themeName = signal('');
effect(() => {
	const name = isDark.value ? 'dark' : 'light';
	document.documentElement.dataset['theme'] = name;
	themeName.value = name;
});
