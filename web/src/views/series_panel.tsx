/* SPDX-License-Identifier: Apache-2.0 */
/* series_panel.tsx: the value over time as a line, or as a heat map of when
 * samples were taken; a drag over either chooses a range. */
import { useMemo, useState } from 'preact/hooks';
import { HEAT_COLUMNS, heatColumn, heatFits, heatNothing, heatRate, heatSpread, heatTop } from '../logic/heat';
import { isCpuTime, ratesOf, summaryOf } from '../logic/series';
import { clockFormat, durationFormat, rangeBetween, rangeMs } from '../logic/time';
import type { Chart } from '../logic/url';
import type { Heatmap } from '../api/types';
import { heat, now, series } from './data';
import { HeatMap } from './heat_map';
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

const CHARTS: readonly (readonly [Chart, string, string])[] = [
	['line', 'Line', 'The value over time'],
	['heat', 'Heat map', 'When samples were taken, within each second or minute'],
];

function ChartToggle() {
	const { chart } = state.value;
	return (
		<div class="segments small" role="group" aria-label="Chart">
			{CHARTS.map(([id, text, title]) => (
				<button key={id} data-testid={`chart-${id}`} title={title} aria-pressed={chart === id} onClick={() => update({ chart: id }, 'replace')}>{text}</button>
			))}
		</div>
	);
}

function ColumnToggle() {
	const { range, column } = state.value;
	const shown = rangeMs(range, now.peek());
	const ms = shown.to - shown.from;
	const used = heatColumn(ms, column);
	return (
		<div class="segments small" role="group" aria-label="A column is">
			{HEAT_COLUMNS.map((c) => (
				<button key={c.seconds} data-testid={`column-${c.name}`} aria-pressed={used === c} disabled={!heatFits(c, ms)}
					title={heatFits(c, ms) ? `A column is a ${c.name}` : `The range is too long for columns of a ${c.name}`}
					onClick={() => update({ column: c.seconds }, 'replace')}>
					{c.seconds === 86_400 ? '1d' : durationFormat(c.seconds)}
				</button>
			))}
		</div>
	);
}

function HeatLegend({ map }: { map: Heatmap }) {
	const { top, isClipped } = heatTop(map);
	return (
		<span class="heat-legend note number" data-testid="heat-legend">
			0 <i aria-hidden="true" /> {heatRate(map, top)}{isClipped && ' and more'}
		</span>
	);
}

function HeatPanel() {
	const { data, error } = heat.value;
	const { service } = state.value;
	const nothing = data ? heatNothing(data) : '';
	const title = !data || isCpuTime(data) ? 'CPU' : data.type;
	return (
		<section class="panel series" data-testid="heat-panel" aria-label={`${title}, heat map`}>
			<div class="panel-head">
				<h2>{title}</h2>
				{data && !nothing && <HeatLegend map={data} />}
				{data && !nothing && <span class="note warn" data-testid="heat-spread">{heatSpread(data)}</span>}
				<span class="grow" />
				<ColumnToggle />
				<ChartToggle />
			</div>
			{error && <p class="note warn inset" role="alert">{error}</p>}
			{nothing && <p class="empty note" data-testid="heat-nothing">{nothing}</p>}
			{data && !nothing && !error && (
				<HeatMap map={data} name={`${title} of ${service ?? 'all services'}`} theme={themeName.value} onRange={(range) => update({ range })} />
			)}
		</section>
	);
}

export function SeriesPanel() {
	return state.value.chart === 'heat' ? <HeatPanel /> : <LinePanel />;
}

function LinePanel() {
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
				<ChartToggle />
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
