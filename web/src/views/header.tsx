/* SPDX-License-Identifier: Apache-2.0 */
/* header.tsx: what is looked at: service, type, labels, time; and how. */
import { useState } from 'preact/hooks';
import type { Label } from '../api/types';
import { formatValue } from '../logic/format';
import { inputFormat, inputParse, PRESETS, RANGE_DEFAULT, rangeBetween, rangeFormat, rangeMs } from '../logic/time';
import { CompareButton } from './compare_bar';
import { isLoading, liveState, loadLabels, now, services, types } from './data';
import { FilterTerms } from './filter_terms';
import { Popover } from './popover';
import { SelectorField, SelectorProblem } from './selector_field';
import { state, update } from './store';
import { ThemeButton } from './theme_button';

function ServiceSelect() {
	const { service, type } = state.value;
	const all = services.value;
	const unit = type.split(':')[1] ?? '';
	return (
		<label class="field">
			<span>Service</span>
			<select data-testid="service-select" value={service ?? ''}
				onChange={(e) => update({ service: e.currentTarget.value || null, zoom: [], fn: '' })}>
				<option value="">all services</option>
				{service !== null && !all.some((s) => s.name === service) && <option value={service}>{service}</option>}
				{all.map((s) => (
					<option key={s.name} value={s.name}>
						{s.name}
						{s.total[type] ? ` · ${formatValue(s.total[type], unit)}` : ''}
					</option>
				))}
			</select>
		</label>
	);
}

function TypeSelect() {
	const { type } = state.value;
	const names = types.value.map((t) => t.name);
	if (!names.includes(type)) names.unshift(type);
	return (
		<label class="field">
			<span>Type</span>
			<select data-testid="type-select" value={type} onChange={(e) => update({ type: e.currentTarget.value })}>
				{names.map((name) => <option key={name} value={name}>{name}</option>)}
			</select>
		</label>
	);
}

/* Another tree: a place in the old one means nothing in it. */
function LinesButton() {
	const { lines } = state.value;
	return (
		<button class="toggle" data-testid="lines" aria-pressed={lines} onClick={() => update({ lines: !lines, zoom: [] })}
			title="The lines of a function apart, where debug information says them">
			Lines
		</button>
	);
}

function LabelForm({ close }: { close: () => void }) {
	const [labels, setLabels] = useState<Label[] | null>(null);
	const [error, setError] = useState('');
	const [name, setName] = useState('');
	if (labels === null && !error) loadLabels().then(setLabels, (e: Error) => setError(e.message));
	const chosen = labels?.find((l) => l.name === name) ?? labels?.[0];
	const onSubmit = (e: SubmitEvent): void => {
		e.preventDefault();
		const form = e.currentTarget as HTMLFormElement;
		const value = new FormData(form).get('value');
		if (!chosen || typeof value !== 'string') return;
		const others = state.value.labels.filter(([n, v]) => n !== chosen.name || v !== value);
		update({ labels: [...others, [chosen.name, value]] });
		form.reset();
		close();
	};
	if (error) return <p class="note">{error}</p>;
	if (!labels) return <p class="note">Loading…</p>;
	if (!chosen) return <p class="note">The selection has no labels.</p>;
	return (
		<form onSubmit={onSubmit}>
			<label class="stack">
				Label
				<select value={chosen.name} onChange={(e) => setName(e.currentTarget.value)}>
					{labels.map((l) => <option key={l.name}>{l.name}</option>)}
				</select>
			</label>
			<label class="stack">
				Value{chosen.truncated ? ' (the largest 200 are offered)' : ''}
				<input name="value" list="label-values" autocomplete="off" required />
				<datalist id="label-values">{chosen.values.map((v) => <option key={v} value={v} />)}</datalist>
			</label>
			<button class="primary" type="submit">Add filter</button>
		</form>
	);
}

function LabelFilters() {
	const { labels } = state.value;
	const without = (i: number): void => update({ labels: labels.filter((_, at) => at !== i) });
	return (
		<>
			{labels.map(([name, value], i) => (
				<span class="chip" key={`${name}:${value}`}>
					<span class="cut">{name}=<b>{value}</b></span>
					<button aria-label={`Remove filter ${name}=${value}`} onClick={() => without(i)}>×</button>
				</span>
			))}
			<Popover label="+ Filter" title="Show only what has a label">
				{(close) => <LabelForm close={close} />}
			</Popover>
		</>
	);
}

function BetweenForm({ close }: { close: () => void }) {
	const [error, setError] = useState('');
	const shown = rangeMs(state.value.range, now.peek());
	const onSubmit = (e: SubmitEvent): void => {
		e.preventDefault();
		const form = new FormData(e.currentTarget as HTMLFormElement);
		const range = rangeBetween(inputParse(String(form.get('from'))), inputParse(String(form.get('to'))));
		if (!range) {
			setError('The end must come after the start.');
			return;
		}
		update({ range });
		close();
	};
	return (
		<form onSubmit={onSubmit}>
			<label class="stack">
				From
				<input type="datetime-local" step="1" name="from" required defaultValue={inputFormat(shown.from)} />
			</label>
			<label class="stack">
				To
				<input type="datetime-local" step="1" name="to" required defaultValue={inputFormat(shown.to)} />
			</label>
			{error && <p class="note" role="alert">{error}</p>}
			<button class="primary" type="submit">Show</button>
		</form>
	);
}

function RangeButtons() {
	const { range } = state.value;
	const isBetween = range.kind === 'between';
	return (
		<div class="segments" role="group" aria-label="Time range">
			{PRESETS.map(([label, seconds]) => (
				<button key={label} data-testid={`range-${label}`} aria-pressed={range.kind === 'last' && range.seconds === seconds}
					onClick={() => update({ range: { kind: 'last', seconds } })}>
					{label}
				</button>
			))}
			<Popover class={isBetween ? 'pressed' : ''} title="Choose a start and an end"
				label={<span data-testid="range-between">{isBetween ? rangeFormat(range, now.peek()) : 'From – to'}</span>}>
				{(close) => <BetweenForm close={close} />}
			</Popover>
		</div>
	);
}

const LIVE_TEXT = { live: 'live', connecting: 'connecting', waiting: 'reconnecting', off: 'paused' } as const;

function LiveButton() {
	const { live, range } = state.value;
	const shown = live && range.kind === 'last' ? liveState.value : 'off';
	const onClick = (): void => {
		if (range.kind === 'between') update({ live: true, range: RANGE_DEFAULT });
		else update({ live: !live });
	};
	return (
		<button class={`live is-${shown}`} data-testid="live-state" data-state={shown} aria-pressed={shown !== 'off'} onClick={onClick}
			title={shown === 'off' ? 'Follow new data' : 'New data is shown as it arrives; press to pause'}>
			<i aria-hidden="true" />
			{LIVE_TEXT[shown]}
		</button>
	);
}

export function Header() {
	return (
		<header>
			<div class="bar">
				<h1><img src="/favicon.svg" alt="" width="18" height="18" />wick</h1>
				<ServiceSelect />
				<TypeSelect />
				<span class="grow" />
				<RangeButtons />
				<LiveButton />
				<ThemeButton />
			</div>
			<div class="bar">
				<SelectorField />
				<LabelFilters />
				<FilterTerms />
				<LinesButton />
				<CompareButton />
			</div>
			<SelectorProblem />
			<span class={`progress ${isLoading.value ? 'on' : ''}`} aria-hidden="true" />
		</header>
	);
}
