/* SPDX-License-Identifier: Apache-2.0 */
/* profiles.ts: one profile among many: where it comes from, and the page with
 * nothing else. */
import type { Exemplar } from '../api/types';
import { rangeBetween } from './time';
import type { PageState } from './url';

const PLACES = ['host', 'container', 'region', 'zone'] as const;

/* "api · host web-1 · zone b" */
export function exemplarPlace(x: Exemplar): string {
	return [x.service, ...PLACES.filter((k) => x[k]).map((k) => (k === 'host' ? x[k] : `${k} ${x[k]}`))].join(' · ');
}

/* Its time, service and labels beside what is chosen already. */
export function exemplarState(s: PageState, x: Exemplar): PageState {
	const own = PLACES.filter((k) => x[k]).map((k): [string, string] => [k, x[k]!]);
	const others = s.labels.filter(([name, value]) => !own.some(([n, v]) => n === name && v === value));
	const range = rangeBetween(x.from_ms, Math.max(x.to_ms, x.from_ms + 1)) ?? s.range;
	return { ...s, service: x.service, labels: [...others, ...own], range, zoom: [] };
}
