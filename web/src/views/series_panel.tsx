/* SPDX-License-Identifier: Apache-2.0 */
/* series_panel.tsx: the value over time; a drag over it chooses a range. */
import { useMemo, useState } from 'preact/hooks';
import { isCpuTime, ratesOf, summaryOf } from '../logic/series';
import { clockFormat, rangeBetween, rangeMs } from '../logic/time';
import { now, series } from './data';
import { state, themeName, update } from './store';
import { TimeSeries } from './time_series';

function UnitToggle() {
	const { unit } = state.value;
	return (
		<div class="segments small" role="group" aria-label="Unit">
			<button data-testid="unit-cores" aria-pressed={unit === 'cores'} onClick={() => update({ unit: 'cores' }, 'replace')}>cores</button>
			<button data-testid="unit-percent" aria-pressed={unit === 'percent'} onClick={() => update({ unit: 'percent' }, 'replace')}>
				% of host
			</button>
		</div>
	);
}

export function SeriesPanel() {
	const [step, setStep] = useState<number | null>(null);
	const s = series.value;
	const { unit, range, service } = state.value;
	const rates = useMemo(() => (s ? ratesOf(s, unit) : null), [s, unit]);
	if (!s || !rates) return <section class="panel series" data-testid="series" />;
	const shown = range.kind === 'last' ? { from: s.from_ms, to: s.from_ms + s.values.length * s.step_ms } : rangeMs(range, now.peek());
	const title = isCpuTime(s) ? 'CPU' : s.type;
	const known = rates.values.filter((v): v is number => v !== null);
	const mean = known.length ? `mean ${rates.format(known.reduce((a, b) => a + b, 0) / known.length)}` : 'no data';
	const at = step !== null && step < rates.values.length ? rates.values[step] : undefined;
	const reading = at === undefined
		? `${mean}${known.length > 0 && unit === 'cores' && isCpuTime(s) ? ' cores' : ''}`
		: `${clockFormat(s.from_ms + step! * s.step_ms)}  ${at === null ? 'no data' : rates.format(at)}`;
	return (
		<section class="panel series" data-testid="series" aria-label={title}>
			<div class="panel-head">
				<h2>{title}</h2>
				<span class="note number">{reading}</span>
				<span class="grow" />
				{isCpuTime(s) && <UnitToggle />}
			</div>
			<TimeSeries fromMs={s.from_ms} stepMs={s.step_ms} values={rates.values} range={shown} tick={rates.tick} minTop={rates.minTop}
				summary={summaryOf(rates, `${title} of ${service ?? 'all services'}`)} theme={themeName.value} onCursor={setStep}
				onBrush={(from, to) => {
					const brushed = rangeBetween(from, to);
					if (brushed) update({ range: brushed });
				}} />
		</section>
	);
}
