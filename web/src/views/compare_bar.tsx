/* SPDX-License-Identifier: Apache-2.0 */
/* compare_bar.tsx: which two ranges are compared, and how wide boxes are. */
import { useState } from 'preact/hooks';
import { BASES, baseMs, baseName, baseText, spanFormat, type Base } from '../logic/compare';
import { formatCount } from '../logic/format';
import { inputFormat, inputParse, rangeBetween, rangeMs } from '../logic/time';
import { now, tree } from './data';
import { Popover } from './popover';
import { state, update } from './store';
import { WidthToggle } from './width_toggle';

export function CompareButton() {
	const { base } = state.value;
	return (
		<button class="toggle" data-testid="compare" aria-pressed={base !== null} title="What changed against another range of time"
			onClick={() => update({ base: base ? null : { kind: 'before' } })}>
			Compare
		</button>
	);
}

function BaseForm({ close }: { close: () => void }) {
	const [error, setError] = useState('');
	const { base, range } = state.value;
	const shown = rangeMs(range, now.peek());
	const a = baseMs(base ?? { kind: 'before' }, shown);
	const take = (next: Base): void => {
		update({ base: next });
		close();
	};
	const onSubmit = (e: SubmitEvent): void => {
		e.preventDefault();
		const form = new FormData(e.currentTarget as HTMLFormElement);
		const next = rangeBetween(inputParse(String(form.get('from'))), inputParse(String(form.get('to'))));
		if (next?.kind === 'between') take(next);
		else setError('The end must come after the start.');
	};
	return (
		<form onSubmit={onSubmit}>
			<div class="choices" role="group" aria-label="Baseline">
				{BASES.map(([name, b]) => (
					<button type="button" key={name} data-testid={`base-${baseText(b)}`} aria-pressed={!!base && baseText(b) === baseText(base)} onClick={() => take(b)}>
						{name}
					</button>
				))}
				<button type="button" data-testid="base-shown" title="Keep what is shown as A, then choose another range" onClick={() => take({ kind: 'between', ...shown })}>
					What is shown
				</button>
			</div>
			<label class="stack">
				From
				<input type="datetime-local" step="1" name="from" required defaultValue={inputFormat(a.from)} />
			</label>
			<label class="stack">
				To
				<input type="datetime-local" step="1" name="to" required defaultValue={inputFormat(a.to)} />
			</label>
			{error && <p class="note" role="alert">{error}</p>}
			<button class="primary" type="submit">Take as A</button>
		</form>
	);
}

/* "11:45:00 – 12:00:00 · 1,000 samples", as far as it is known. */
const sideText = (span: string, samples: number | null | undefined): string =>
	[span, samples ? `${formatCount(Math.round(samples))} samples` : ''].filter(Boolean).join(' · ');

export function CompareBar() {
	const { base, width } = state.value;
	if (!base) return null;
	const meta = tree.value?.diff ? tree.value.meta : null;
	const span = (from?: number, to?: number): string => (from === undefined || to === undefined ? '' : spanFormat(from, to, now.peek()));
	const sides = meta?.diff;
	const isEmpty = sides?.whole_a === 0 || sides?.whole_b === 0;
	const isTested = !!sides?.samples_a && !!sides.samples_b;
	return (
		<section class="bar compare" aria-label="Comparison" data-testid="compare-bar">
			<span class="side">
				<b>A</b>
				<Popover label={<span data-testid="base-open">{baseName(base, now.peek())}</span>} title="Choose what is compared with">
					{(close) => <BaseForm close={close} />}
				</Popover>
				{meta && (
					<span class="note number" data-testid="side-a">
						{sideText(base.kind === 'between' ? '' : span(meta.base_from_ms, meta.base_to_ms), sides?.samples_a)}
					</span>
				)}
			</span>
			<span class="side">
				<b>B</b>
				{meta && <span class="note number" data-testid="side-b">{sideText(span(meta.from_ms, meta.to_ms), sides?.samples_b)}</span>}
			</span>
			{sides && isEmpty && <span class="note warn" data-testid="side-empty">no samples in {sides.whole_a === 0 ? 'A' : 'B'}</span>}
			{sides && !isEmpty && !isTested && (
				<span class="note warn" data-testid="untested" title="Samples need times of their own: wick's agent and OTLP exporters send them">
					not tested: number of samples unknown
				</span>
			)}
			<span class="grow" />
			<span class="side"><span class="note">Width</span><WidthToggle width={width} onWidth={(w) => update({ width: w }, 'replace')} /></span>
		</section>
	);
}
