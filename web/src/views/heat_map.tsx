/* SPDX-License-Identifier: Apache-2.0 */
/* heat_map.tsx: the heat map with pointer and keyboard. A press chooses a
 * column, a drag several: the page narrows to their time. Marks are elements
 * above the canvas, as in the flame graph. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Heatmap } from '../api/types';
import { HeatCanvas, heatTheme, type Rect } from '../gl/heat';
import { heatCellText, heatMove, heatRange, heatSummary, type HeatCell } from '../logic/heat';
import type { Range } from '../logic/time';
import { TooltipBox } from './tooltip';

declare global {
	interface Window {
		/* For tests: where a cell is in the window, and its colour. */
		__heat?: (column: number, row: number) => Rect & { color: string };
	}
}

export interface HeatMapProps {
	map: Heatmap;
	name: string; /* of what */
	theme: string;
	onRange: (range: Range) => void;
}

/* Columns from where a press or Shift began to where it is now. */
interface Chosen {
	from: number;
	to: number;
}

const boxStyle = (r: Rect): Record<string, string> => ({ left: `${r.x}px`, top: `${r.y}px`, width: `${r.w}px`, height: `${r.h}px` });

export function HeatMap(props: HeatMapProps) {
	const { map, theme } = props;
	const area = useRef<HTMLDivElement>(null);
	const canvas = useRef<HTMLCanvasElement>(null);
	const heat = useRef<HeatCanvas | null>(null);
	const [hover, setHover] = useState<(HeatCell & { x: number; y: number }) | null>(null);
	const [cursor, setCursor] = useState<HeatCell | null>(null);
	const [chosen, setChosen] = useState<Chosen | null>(null);
	const [, setSized] = useState(0); /* marks move with the size */
	const isPressed = useRef(false);

	useEffect(() => {
		const box = area.current!;
		const h = new HeatCanvas(canvas.current!, heatTheme(box));
		heat.current = h;
		const observer = new ResizeObserver(() => {
			h.setSize(box.clientWidth, box.clientHeight, devicePixelRatio);
			setSized((n) => n + 1);
		});
		observer.observe(box);
		window.__heat = (column, row) => {
			const at = canvas.current!.getBoundingClientRect();
			const r = h.cellRect({ column, row });
			return { ...r, x: at.left + r.x, y: at.top + r.y, color: h.colorAt({ column, row }) };
		};
		return () => {
			observer.disconnect();
			delete window.__heat;
		};
	}, []);
	useEffect(() => heat.current!.setTheme(heatTheme(area.current!)), [theme]);
	/* New data move the columns along: what is marked stays at its time. */
	const drawn = useRef(map);
	useEffect(() => {
		heat.current!.setMap(map);
		const by = drawn.current.column_ms === map.column_ms ? Math.round((drawn.current.from_ms - map.from_ms) / map.column_ms) : -Infinity;
		drawn.current = map;
		if (by === 0) return;
		setCursor((c) => (c && c.column + by >= 0 ? { ...c, column: c.column + by } : null));
		setChosen((c) => (c && Math.min(c.from, c.to) + by >= 0 ? { from: c.from + by, to: c.to + by } : null));
	}, [map]);

	const choose = (from: number, to: number): void => {
		setChosen(null);
		const range = heatRange(map, from, to);
		if (range) props.onRange(range);
	};
	const cellAt = (e: PointerEvent): HeatCell | null => {
		const at = canvas.current!.getBoundingClientRect();
		return heat.current!.hit(e.clientX - at.left, e.clientY - at.top, isPressed.current);
	};
	const onPointerMove = (e: PointerEvent): void => {
		const cell = cellAt(e);
		setHover(cell && { ...cell, x: e.clientX, y: e.clientY });
		if (isPressed.current && cell) setChosen((c) => c && { ...c, to: cell.column });
	};
	const onPointerDown = (e: PointerEvent): void => {
		const cell = cellAt(e);
		if (!cell || e.button !== 0) return;
		isPressed.current = true;
		canvas.current!.setPointerCapture(e.pointerId);
		setCursor(null);
		setChosen({ from: cell.column, to: cell.column });
	};
	const onPointerUp = (): void => {
		if (!isPressed.current) return;
		isPressed.current = false;
		if (chosen) choose(chosen.from, chosen.to);
	};
	const onPointerCancel = (): void => {
		isPressed.current = false;
		setChosen(null);
	};
	const onKeyDown = (e: KeyboardEvent): void => {
		if (e.ctrlKey || e.metaKey || e.altKey) return;
		const from = cursor ?? { column: map.columns.length - 1, row: 0 };
		const to = cursor ? heatMove(map, from, e.key) : heatMove(map, from, e.key) && from;
		if (to) {
			setCursor(to);
			setChosen(e.shiftKey ? { from: chosen?.from ?? from.column, to: to.column } : null);
		} else if (e.key === 'Enter' && cursor) {
			choose(chosen?.from ?? cursor.column, chosen?.to ?? cursor.column);
		} else if (e.key === 'Escape' && cursor) {
			if (!chosen) setCursor(null);
			setChosen(null);
		} else {
			return;
		}
		e.preventDefault();
		e.stopPropagation();
	};

	const isCursorThere = cursor && cursor.column < map.columns.length && cursor.row < map.rows;
	const said = isCursorThere ? heatCellText(map, cursor) : null;
	const shown = hover && hover.column < map.columns.length && hover.row < map.rows ? heatCellText(map, hover) : null;
	const columns = chosen && Math.max(chosen.from, chosen.to) < map.columns.length ? chosen : null;
	return (
		<div class="heat" ref={area} tabIndex={0} role="application" aria-roledescription="heat map" data-testid="heat"
			aria-label={`${heatSummary(map, props.name)}. Arrow keys move, Shift with them chooses columns, Enter shows their time.`} onKeyDown={onKeyDown}>
			<canvas ref={canvas} data-testid="heat-canvas" onPointerMove={onPointerMove} onPointerLeave={() => setHover(null)} onPointerDown={onPointerDown}
				onPointerUp={onPointerUp} onPointerCancel={onPointerCancel} aria-hidden="true" />
			{columns && heat.current && (
				<div class="chosen" data-testid="heat-chosen" aria-hidden="true"
					style={boxStyle(heat.current.columnsRect(Math.min(columns.from, columns.to), Math.max(columns.from, columns.to)))} />
			)}
			{isCursorThere && heat.current && <div class="mark" style={boxStyle(heat.current.cellRect(cursor))} aria-hidden="true" />}
			<p class="unseen" aria-live="polite" data-testid="heat-live">{said && `${said.when}, ${said.numbers}`}</p>
			{said && !hover && <p class="heat-reading note number" aria-hidden="true">{said.when} · {said.numbers}</p>}
			{hover && shown && (
				<TooltipBox x={hover.x} y={hover.y} testid="heat-tooltip">
					<b class="number">{shown.when}</b>
					<span class="number">{shown.numbers}</span>
					<span class="note">{columns ? `Release: ${countOf(columns)} × ${columnName(map)}` : `Press: this ${columnName(map)}; drag: several`}</span>
				</TooltipBox>
			)}
		</div>
	);
}

const columnName = (m: Heatmap): string => ({ 1000: 'second', 60_000: 'minute', 3_600_000: 'hour' })[m.column_ms] ?? 'day';
const countOf = (c: Chosen): number => Math.abs(c.to - c.from) + 1;
