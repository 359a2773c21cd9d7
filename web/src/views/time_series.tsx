/* SPDX-License-Identifier: Apache-2.0 */
/* time_series.tsx: the one place that knows uPlot. A line over time that is
 * flat over each step, with steps nobody reported hatched, and a brush.
 *
 *   steps     | 1.2 | 1.3 |  -  |  -  | 0.7 |
 *   points    .     ..    .           .     .     two per step, null between
 */
import { useEffect, useRef } from 'preact/hooks';
import type uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { gapsOf } from '../logic/series';
import { clockFormat, dayFormat } from '../logic/time';

/* A file of its own: the flame graph need not wait for it. */
const library = import('uplot').then((m) => m.default);

const HEIGHT = 132;

export interface TimeSeriesProps {
	fromMs: number;
	stepMs: number;
	values: readonly (number | null)[];
	range: { from: number; to: number };
	tick: (v: number) => string;
	minTop: number; /* the axis reaches at least this far */
	summary: string;
	theme: string; /* repaint when it changes */
	onBrush: (fromMs: number, toMs: number) => void;
	onCursor: (step: number | null) => void;
}

function pointsOf(p: TimeSeriesProps): uPlot.AlignedData {
	const x: number[] = [];
	const y: (number | null)[] = [];
	p.values.forEach((v, i) => {
		const start = p.fromMs + i * p.stepMs;
		x.push(start / 1000, (start + p.stepMs - 1) / 1000);
		y.push(v, v);
	});
	return [x, y];
}

function paintGaps(u: uPlot, p: TimeSeriesProps, color: string): void {
	const { ctx, bbox } = u;
	ctx.save();
	ctx.beginPath();
	for (const [first, end] of gapsOf(p.values, p.fromMs, p.stepMs, p.range.to)) {
		const x0 = u.valToPos((p.fromMs + first * p.stepMs) / 1000, 'x', true);
		const x1 = u.valToPos((p.fromMs + end * p.stepMs) / 1000, 'x', true);
		const from = Math.max(x0, bbox.left);
		ctx.rect(from, bbox.top, Math.max(Math.min(x1, bbox.left + bbox.width) - from, 0), bbox.height);
	}
	ctx.clip();
	ctx.strokeStyle = color;
	ctx.lineWidth = devicePixelRatio;
	ctx.beginPath();
	const pitch = 7 * devicePixelRatio;
	for (let x = bbox.left - bbox.height; x < bbox.left + bbox.width; x += pitch) {
		ctx.moveTo(x, bbox.top + bbox.height);
		ctx.lineTo(x + bbox.height, bbox.top);
	}
	ctx.stroke();
	ctx.restore();
}

function timeTick(ms: number, stepSeconds: number): string {
	const clock = clockFormat(ms, stepSeconds < 60);
	return stepSeconds >= 86_400 || clock === '00:00' ? dayFormat(ms).slice(5) : clock;
}

function optionsOf(width: number, element: Element, current: () => TimeSeriesProps): uPlot.Options {
	const style = getComputedStyle(element);
	const color = (name: string): string => style.getPropertyValue(name).trim();
	const font = '11px system-ui, sans-serif';
	const axis = { stroke: color('--muted'), font, grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } };
	return {
		width,
		height: HEIGHT,
		padding: [8, 18, 0, 0],
		legend: { show: false },
		cursor: { drag: { x: true, y: false, setScale: false }, y: false, points: { size: 6 } },
		scales: {
			x: { time: true, range: () => [current().range.from / 1000, current().range.to / 1000] },
			y: { range: (_u, _min, max) => [0, Math.max((max ?? 0) * 1.08, current().minTop)] },
		},
		axes: [
			{ ...axis, size: 22, gap: 5, space: 70, values: (_u, ticks, _i, _space, step) => ticks.map((v) => timeTick(v * 1000, step)) },
			{ ...axis, size: (_u, labels) => Math.max(44, ...(labels ?? []).map((l) => 14 + 6.5 * l.length)), gap: 6, space: 22, values: (_u, ticks) => ticks.map((v) => current().tick(v)) },
		],
		series: [{}, { stroke: color('--accent'), fill: color('--accent-fill'), width: 1.25, points: { show: false } }],
		hooks: {
			drawAxes: [(u) => paintGaps(u, current(), color('--line'))],
			setSelect: [
				(u) => {
					const { left, width: w } = u.select;
					if (w < 4) return;
					u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
					current().onBrush(u.posToVal(left, 'x') * 1000, u.posToVal(left + w, 'x') * 1000);
				},
			],
			setCursor: [(u) => current().onCursor(u.cursor.idx === null || u.cursor.idx === undefined ? null : u.cursor.idx >> 1)],
		},
	};
}

export function TimeSeries(props: TimeSeriesProps) {
	const host = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot | null>(null);
	const latest = useRef(props);
	latest.current = props;

	useEffect(() => {
		const element = host.current!;
		const observer = new ResizeObserver(() => {
			if (element.clientWidth > 0 && element.clientWidth !== plot.current?.width)
				plot.current?.setSize({ width: element.clientWidth, height: HEIGHT });
		});
		let isGone = false;
		void library.then((Plot) => {
			if (isGone) return;
			plot.current = new Plot(optionsOf(element.clientWidth, element, () => latest.current), pointsOf(latest.current), element);
			observer.observe(element);
		});
		return () => {
			isGone = true;
			observer.disconnect();
			plot.current?.destroy();
			plot.current = null;
		};
	}, [props.theme]);

	useEffect(() => {
		plot.current?.setData(pointsOf(props));
	}, [props.values, props.fromMs, props.stepMs, props.range.from, props.range.to, props.minTop]);

	return <div class="series-plot" ref={host} role="img" aria-label={props.summary} />;
}
