/* SPDX-License-Identifier: Apache-2.0 */
/* profile_list.tsx: the single profiles in which the most of what is looked
 * at, or of the selected function, was measured; each leads to itself. */
import type { ComponentChildren } from 'preact';
import type { Exemplar } from '../api/types';
import { formatValue } from '../logic/format';
import { shortName } from '../logic/name';
import { exemplarPlace, exemplarState } from '../logic/profiles';
import { dayFormat, clockFormat } from '../logic/time';
import { now, profiles } from './data';
import { state, update } from './store';

function Row({ x, largest }: { x: Exemplar; largest: number }) {
	const unit = x.type.split(':')[1] ?? '';
	const day = dayFormat(x.from_ms) === dayFormat(now.peek()) ? '' : `${dayFormat(x.from_ms)} `;
	const seconds = (x.to_ms - x.from_ms) / 1000;
	return (
		<tr data-testid="profile-row" onClick={() => update(exemplarState(state.peek(), x))}>
			<td title={`Shows only this profile: ${exemplarPlace(x)}`}>
				<div class="function">
					<button class="name number">{day}{clockFormat(x.from_ms)}</button>
					<span class="module">{exemplarPlace(x)}</span>
				</div>
			</td>
			<td class="plain">{seconds >= 10 ? seconds.toFixed(0) : seconds.toFixed(1)} s</td>
			<td class="number" style={{ '--part': `${((x.value / largest) * 100).toFixed(2)}%` }}>{formatValue(x.value, unit)}</td>
		</tr>
	);
}

export function ProfileList({ tabs }: { tabs: ComponentChildren }) {
	const { data, error } = profiles.value;
	const { fn } = state.value;
	const largest = data?.largest[0]?.value ?? 1;
	return (
		<section class="panel top" aria-label="Largest profiles" data-testid="profiles">
			<div class="panel-head">
				{tabs}
				<span class="note cut" title={fn} data-testid="profiles-of">{fn ? `by ${shortName(fn)}` : 'by all that is shown'}</span>
				<span class="grow" />
				{data && <span class="note number">of {data.profiles.toLocaleString('en')}</span>}
			</div>
			<div class="top-scroll">
				{error && <p class="note warn inset" role="alert">{error}</p>}
				{!data && !error && <p class="empty note">Loading…</p>}
				{data && data.largest.length === 0 && (
					<p class="empty note">{data.profiles > 0 ? 'In no profile is any of it.' : 'No single profile is kept of this time, only sums.'}</p>
				)}
				{data && data.largest.length > 0 && (
					<table class="profiles">
						<thead><tr><th scope="col">Profile</th><th scope="col">Length</th><th scope="col">Value</th></tr></thead>
						<tbody>{data.largest.map((x, i) => <Row key={i} x={x} largest={largest} />)}</tbody>
					</table>
				)}
			</div>
		</section>
	);
}
