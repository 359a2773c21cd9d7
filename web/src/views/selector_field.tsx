/* SPDX-License-Identifier: Apache-2.0 */
/* selector_field.tsx: series and samples chosen by a text in PromQL's words.
 * Taken over on Enter or when the field is left; what the server does not
 * take is said below, and what was shown before stays. */
import { SELECTOR_MAX } from '../logic/selector';
import { selectorError, tree } from './data';
import { state, update } from './store';

export function SelectorField() {
	const { query } = state.value;
	const error = selectorError.value;
	const take = (text: string): void => {
		const next = text.trim();
		if (next !== state.peek().query) update({ query: next, zoom: [] });
	};
	return (
		<label class="field selector">
			<span>Selector</span>
			<input type="search" data-testid="selector-input" value={query} maxLength={SELECTOR_MAX} spellcheck={false} autocomplete="off"
				placeholder={'host=~"web-.*", thread_name!="gc"'} title="Labels that all must hold: = != =~ !~, as in PromQL" aria-invalid={!!error}
				aria-describedby="selector-error" onChange={(e) => take(e.currentTarget.value)}
				onKeyDown={(e) => {
					if (e.key === 'Enter') take(e.currentTarget.value);
					if (e.key === 'Escape') e.currentTarget.value = query;
					e.stopPropagation();
				}} />
		</label>
	);
}

export function SelectorProblem() {
	const error = selectorError.value;
	return (
		<output id="selector-error" class={error ? 'problem' : 'unseen'} role="alert" data-testid="selector-error">
			{error && `Selector: ${error}.`}{error && tree.value && ' What is shown is what was asked for before.'}
		</output>
	);
}
