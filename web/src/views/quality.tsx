/* SPDX-License-Identifier: Apache-2.0 */
/* quality.tsx: how far what is shown can be trusted, beside what is shown. */
import type { Quality, StackEnd } from '../api/types';
import { formatAge, formatBytes, formatCount, formatShare } from '../logic/format';
import { cutOf, missingOf, type Loss } from '../logic/loss';
import { incompleteShare, stateOfEnd } from '../logic/stack_end';
import { stateFormat } from '../logic/url';
import { liveState, now, status, tree } from './data';
import { Popover } from './popover';
import { state } from './store';

const STALE_MS = 45_000;
const UNNAMED_WARN = 0.05;
const INCOMPLETE_WARN = 0.03;
const SHORT_MS = 10_000; /* of most profiles */

interface Fact {
	name: string;
	text: string;
	title?: string;
	level?: 'warn' | 'bad' | undefined;
	ends?: StackEnd[]; /* reasons to be listed on demand */
}

const wordsOf = (losses: readonly Loss[]): string => losses.map((l) => `${formatCount(l.n)}: ${l.text}`).join('; ');

function lossFact(q: Quality): Fact {
	const lost = missingOf(q.lost);
	const sum = lost.reduce((total, l) => total + l.n, 0);
	const text = sum === 0 ? 'nothing lost' : `${formatCount(sum)} lost (${formatShare(sum, sum + q.samples)}): ${wordsOf(lost)}`;
	return { name: 'lost', text, title: 'Samples that never arrived, by reason', level: sum ? 'warn' : undefined };
}

/* Of agents that do not say how each stack ended: what they counted on their hosts. */
function cutFact(q: Quality): Fact {
	return {
		name: 'incomplete',
		text: q.truncated ? `${formatCount(q.truncated)} ${q.truncated === 1 ? 'stack' : 'stacks'} cut` : 'no stack cut',
		title: wordsOf(cutOf(q.lost)),
		level: q.truncated ? 'warn' : undefined,
	};
}

function stackFact(q: Quality, total: number): Fact {
	const share = incompleteShare(q, total);
	if (share > 0)
		return {
			name: 'incomplete', text: `${formatShare(share, 1)} in incomplete stacks`, title: 'Why stacks do not reach the start of their thread',
			level: share > INCOMPLETE_WARN ? 'warn' : undefined, ends: q.stack_ends,
		};
	if (q.unwind.length === 0) return cutFact(q);
	if (q.unwind.includes('frame-pointers'))
		return { name: 'incomplete', text: 'not known whether stacks are complete', title: 'Frame pointers, by which they were walked, do not tell' };
	return { name: 'incomplete', text: 'all stacks complete', title: 'All reach the start of their thread' };
}

/* What wick's own agents say of their windows. */
function windowFacts(q: Quality): Fact[] {
	const walked = q.unwind.length > 0 ? `, stacks walked by ${q.unwind.join(', ')}` : '';
	return [
		{ name: 'samples', text: `${formatCount(q.samples)} ${q.samples === 1 ? 'sample' : 'samples'}`, title: `Taken by ${q.sources.join(', ')}${walked}` },
		lossFact(q),
	];
}

function otherSourceFacts(profiles: number): Fact[] {
	if (profiles === 0) return [];
	return [
		{ name: 'samples', text: `${formatCount(profiles)} ${profiles === 1 ? 'profile' : 'profiles'}` },
		{ name: 'lost', text: 'losses unknown', title: 'These profiles do not say what was lost while they were taken' },
	];
}

const unnamedFrames = (n?: number): string => (n ? `; ${n.toLocaleString('en')} different frames have none. Debug files name them: wick debuginfo list` : '');

/* A range within a profile, as the heat map gives it. */
function wholeFacts(): Fact[] {
	const { range } = state.value;
	if (range.kind === 'last' || range.to - range.from >= SHORT_MS) return [];
	return [{
		name: 'whole', text: 'profiles that meet the range count whole',
		title: 'The flame graph and the list of functions know no times within a profile; a profile of the agent is 10 s',
	}];
}

function treeFacts(): Fact[] {
	const t = tree.value;
	const q = t?.meta.quality;
	if (!t || !q) return t ? wholeFacts() : [];
	const ret = q.sources.length > 0 ? windowFacts(q) : otherSourceFacts(t.meta.profiles ?? 0);
	if (t.total[0] > 0 && q.sources.length + q.stack_ends.length > 0) ret.push(stackFact(q, t.total[0]));
	if (t.total[0] > 0)
		ret.push({
			name: 'unnamed',
			text: `${formatShare(q.unnamed_share, 1)} without a name`,
			title: `Share of the total that ends in code for which no function name is known${unnamedFrames(q.unnamed_frames)}`,
			level: q.unnamed_share > UNNAMED_WARN ? 'warn' : undefined,
		});
	ret.push(...wholeFacts());
	const stats = t.meta.stats;
	if (stats && !stats.exact)
		ret.push({
			name: 'inexact',
			text: stats.damaged_blocks + stats.damaged_pages > 0 ? 'parts cannot be read' : 'at the ends: sums only',
			title:
				stats.damaged_blocks + stats.damaged_pages > 0
					? `${stats.damaged_blocks} blocks and ${stats.damaged_pages} pages are damaged and missing here`
					: 'Single profiles of this time are kept no more: sums that reach over the ends of the range count whole',
			level: 'warn',
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

/* Each reason leads to the stacks that ended for it. */
function StackEnds({ ends, close }: { ends: readonly StackEnd[]; close: () => void }) {
	const total = tree.value?.total[0] ?? 0;
	const unwind = tree.value?.meta.quality?.unwind ?? [];
	return (
		<>
			<p class="note">These stacks do not reach the start of their thread. What was measured of them counts, below a box that names the reason.</p>
			<ul class="ends" data-testid="stack-ends">
				{ends.map(({ reason, text, value }) => (
					<li key={reason ?? ''}>
						<span class="number">{formatShare(value, total)}</span>
						{reason === null ? text : <a href={`#${stateFormat(stateOfEnd(state.value, reason))}`} title="Show only these" onClick={close}>{text}</a>}
					</li>
				))}
			</ul>
			{unwind.includes('frame-pointers') && <p class="note">Of stacks walked by frame pointers it is not known whether they are complete.</p>}
		</>
	);
}

function FactText({ fact }: { fact: Fact }) {
	const { ends } = fact;
	if (!ends) return <>{fact.text}</>;
	return (
		<Popover class="plain" label={fact.text} title={fact.title ?? ''}>
			{(close) => <StackEnds ends={ends} close={close} />}
		</Popover>
	);
}

export function QualityStrip() {
	const facts = treeFacts();
	const age = ageFact();
	if (age) facts.push(age);
	if (status.value && !status.value.accepting)
		facts.unshift({ name: 'refusing', text: `server refuses data: ${status.value.reason ?? 'no reason given'}`, level: 'bad' });
	else if (status.value?.disk_low)
		facts.unshift({ name: 'disk', text: `disk space is running low: ${formatBytes(status.value.disk_free)} free`, level: 'bad',
			title: `Profiles take ${formatBytes(status.value.disk.used)} of ${formatBytes(status.value.disk.limit)} (--disk-limit).` });
	if (status.value && status.value.damaged_blocks > 0)
		facts.push({ name: 'damage', text: `${status.value.damaged_blocks} damaged block${status.value.damaged_blocks > 1 ? 's' : ''} left out`,
			level: 'bad', title: 'They could not be read when the server started; its log says which.' });
	if (state.value.live && liveState.value === 'waiting')
		facts.unshift({ name: 'connection', text: 'no live connection, trying again', level: 'bad' });
	return (
		<ul class="quality" data-testid="quality-strip" aria-label="Quality of the data">
			{facts.map((f) => (
				<li key={f.name} class={f.level ?? ''} data-fact={f.name} title={f.title ?? ''}><FactText fact={f} /></li>
			))}
		</ul>
	);
}
