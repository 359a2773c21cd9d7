/* SPDX-License-Identifier: Apache-2.0 */
/* quality.tsx: how far what is shown can be trusted, beside what is shown. */
import type { Quality } from '../api/types';
import { formatAge, formatCount, formatShare } from '../logic/format';
import { cutOf, missingOf, type Loss } from '../logic/loss';
import { liveState, now, status, tree } from './data';
import { state } from './store';

const STALE_MS = 45_000;
const UNNAMED_WARN = 0.05;

interface Fact {
	name: string;
	text: string;
	title?: string;
	level?: 'warn' | 'bad' | undefined;
}

const wordsOf = (losses: readonly Loss[]): string => losses.map((l) => `${formatCount(l.n)}: ${l.text}`).join('; ');

function lossFact(q: Quality): Fact {
	const lost = missingOf(q.lost);
	const sum = lost.reduce((total, l) => total + l.n, 0);
	const text = sum === 0 ? 'nothing lost' : `${formatCount(sum)} lost (${formatShare(sum, sum + q.samples)}): ${wordsOf(lost)}`;
	return { name: 'lost', text, title: 'Samples that never arrived, by reason', level: sum ? 'warn' : undefined };
}

/* What wick's own agents say of their windows. */
function windowFacts(q: Quality): Fact[] {
	return [
		{ name: 'samples', text: `${formatCount(q.samples)} ${q.samples === 1 ? 'sample' : 'samples'}`, title: `Taken by ${q.sources.join(', ')}` },
		lossFact(q),
		{
			name: 'truncated',
			text: q.truncated ? `${formatCount(q.truncated)} ${q.truncated === 1 ? 'stack' : 'stacks'} cut` : 'no stack cut',
			title: q.truncated ? wordsOf(cutOf(q.lost)) : 'No stack was cut, unreadable or otherwise incomplete',
			level: q.truncated ? 'warn' : undefined,
		},
	];
}

function otherSourceFacts(profiles: number): Fact[] {
	if (profiles === 0) return [];
	return [
		{ name: 'samples', text: `${formatCount(profiles)} ${profiles === 1 ? 'profile' : 'profiles'}` },
		{ name: 'lost', text: 'losses unknown', title: 'These profiles do not say what was lost while they were taken' },
	];
}

function treeFacts(): Fact[] {
	const t = tree.value;
	const q = t?.meta.quality;
	if (!t || !q) return [];
	const ret = q.sources.length > 0 ? windowFacts(q) : otherSourceFacts(t.meta.profiles ?? 0);
	if (t.total[0] > 0)
		ret.push({
			name: 'unnamed',
			text: `${formatShare(q.unnamed_share, 1)} without a name`,
			title: 'Share of the total that ends in code for which no function name is known',
			level: q.unnamed_share > UNNAMED_WARN ? 'warn' : undefined,
		});
	if (t.prunedTotal > 0)
		ret.push({
			name: 'pruned',
			text: `${formatShare(t.prunedTotal, t.total[0])} in small frames left out`,
			title: 'The smallest call paths are folded into the hatched boxes; their time is counted there',
		});
	return ret;
}

function ageFact(): Fact | null {
	const newest = status.value?.newest_ms;
	if (!newest) return null;
	const age = now.value - newest;
	return {
		name: 'age',
		text: `newest data ${formatAge(age)} old`,
		title: new Date(newest).toLocaleString(),
		level: age > STALE_MS ? 'warn' : undefined,
	};
}

export function QualityStrip() {
	const facts = treeFacts();
	const age = ageFact();
	if (age) facts.push(age);
	if (status.value && !status.value.accepting)
		facts.unshift({ name: 'refusing', text: `server refuses data: ${status.value.reason ?? 'no reason given'}`, level: 'bad' });
	if (state.value.live && liveState.value === 'waiting')
		facts.unshift({ name: 'connection', text: 'no live connection, trying again', level: 'bad' });
	return (
		<ul class="quality" data-testid="quality-strip" aria-label="Quality of the data">
			{facts.map((f) => (
				<li key={f.name} class={f.level ?? ''} data-fact={f.name} title={f.title ?? ''}>{f.text}</li>
			))}
		</ul>
	);
}
