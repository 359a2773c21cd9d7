/* SPDX-License-Identifier: Apache-2.0 */
/* filter_terms.tsx: the patterns that choose stacks and functions: those that
 * hold, each with a button that takes it away, and a form for one more. */
import { useState } from 'preact/hooks';
import { filterAdd, filterMeaning, filterName, FILTER_KINDS, FILTERS_MAX, isLabelFilter, type FilterKind } from '../logic/filter';
import { Popover } from './popover';
import { state, update } from './store';

function TermForm({ close }: { close: () => void }) {
	const [kind, setKind] = useState<FilterKind>('focus');
	const { filters } = state.value;
	const onSubmit = (e: SubmitEvent): void => {
		e.preventDefault();
		const text = new FormData(e.currentTarget as HTMLFormElement).get('pattern');
		if (typeof text !== 'string' || !text) return;
		update({ filters: filterAdd(filters, kind, text), zoom: [] });
		close();
	};
	if (filters.length >= FILTERS_MAX) return <p class="note">{FILTERS_MAX} patterns are the limit.</p>;
	return (
		<form onSubmit={onSubmit}>
			<label class="stack">
				Filter
				<select data-testid="filter-kind" value={kind} onChange={(e) => setKind(e.currentTarget.value as FilterKind)}>
					{FILTER_KINDS.map((k) => <option key={k} value={k}>{filterName(k)}</option>)}
				</select>
			</label>
			<p class="note">Shows {filterMeaning(kind)}.</p>
			<label class="stack">
				{isLabelFilter(kind) ? 'Label' : 'Pattern'}
				<input name="pattern" data-testid="filter-pattern" required maxLength={1024} autocomplete="off" spellcheck={false}
					placeholder={isLabelFilter(kind) ? 'key=regex, size=1mb:, wait=:10ms' : 'regular expression'} />
			</label>
			<button class="primary" type="submit" data-testid="filter-add">Add pattern</button>
		</form>
	);
}

export function FilterTerms() {
	const { filters } = state.value;
	return (
		<>
			{filters.map(([kind, text], i) => (
				<span class="chip" key={`${kind}:${text}`} data-testid="filter-chip" title={filterMeaning(kind)}>
					<span class="cut">{filterName(kind)} <b>{text}</b></span>
					<button aria-label={`Remove ${filterName(kind)} ${text}`}
						onClick={() => update({ filters: filters.filter((_, at) => at !== i), zoom: [] })}>×</button>
				</span>
			))}
			{filters.length > 1 && <button data-testid="filter-clear" onClick={() => update({ filters: [], zoom: [] })}>Clear patterns</button>}
			<Popover label={<span data-testid="filter-open">+ Pattern</span>} title="Choose stacks and functions by regular expressions">
				{(close) => <TermForm close={close} />}
			</Popover>
		</>
	);
}
