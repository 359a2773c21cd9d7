/* SPDX-License-Identifier: Apache-2.0 */
/* top_table.tsx: functions by self or total time. Only the rows in view are
 * in the page; two spacers stand for the others. */
import type { ComponentChildren } from 'preact';
import { useMemo, useRef, useState } from 'preact/hooks';
import type { TopFunction } from '../api/types';
import { formatShare, formatValue } from '../logic/format';
import { shortName } from '../logic/name';
import { topSort, type TopOrder } from '../logic/top';

const ROW_HEIGHT = 24; /* as in style.css */
const MARGIN_ROWS = 12;

export interface TopTableProps {
	rows: readonly TopFunction[];
	total: number;
	unit: string;
	sort: TopOrder;
	fn: string;
	limit: number; /* rows are cut there; 0: they are not */
	tabs?: ComponentChildren; /* in place of the heading */
	onSort: (order: TopOrder) => void;
	onFn: (name: string) => void;
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

function Row({ f, index, props }: { f: TopFunction; index: number; props: TopTableProps }) {
	const { total, unit, fn, onFn } = props;
	const isSelected = f.name === fn;
	const part = (v: number): string => `${total > 0 ? Math.min(100, (v / total) * 100).toFixed(2) : 0}%`;
	return (
		<tr data-testid="top-row" data-name={f.name} aria-rowindex={index + 2} class={isSelected ? 'selected' : ''}
			onClick={() => onFn(isSelected ? '' : f.name)}>
			<td title={[f.name, f.line ? `${f.file}:${f.line}` : f.file, f.module].filter(Boolean).join('\n')}>
				<div class="function">
					<button class="name" aria-pressed={isSelected}>{shortName(f.name)}</button>
					{!!f.line && <span class="line">:{f.line}</span>}
					{f.module && <span class="module">{baseName(f.module)}</span>}
				</div>
			</td>
			{[f.self, f.total].map((v, i) => (
				<td key={i} class="number" title={formatValue(v, unit)} style={{ '--part': part(v) }}>
					<span class="value">{formatValue(v, unit)}</span> <span class="share">{formatShare(v, total)}</span>
				</td>
			))}
		</tr>
	);
}

export function TopTable(props: TopTableProps) {
	const { sort, rows, limit } = props;
	const scroller = useRef<HTMLDivElement>(null);
	const [top, setTop] = useState(0);
	const sorted = useMemo(() => topSort(rows, sort), [rows, sort]);
	const height = scroller.current?.clientHeight || 800;
	const first = Math.min(Math.max(0, Math.floor(top / ROW_HEIGHT) - MARGIN_ROWS), sorted.length);
	const end = Math.min(sorted.length, Math.ceil((top + height) / ROW_HEIGHT) + MARGIN_ROWS);
	const heading = (order: TopOrder, text: string) => (
		<th scope="col" aria-sort={sort === order ? (order === 'name' ? 'ascending' : 'descending') : 'none'}>
			<button data-testid={`sort-${order}`} onClick={() => props.onSort(order)}>{text}</button>
		</th>
	);
	return (
		<section class="panel top" aria-label="Functions">
			<div class="panel-head">
				{props.tabs ?? <h2>Functions</h2>}
				<span class="note number">
					{sorted.length.toLocaleString('en')}
					{limit > 0 && sorted.length >= limit ? `, the first by ${sort === 'total' ? 'total' : 'self'}` : ''}
				</span>
			</div>
			<div class="top-scroll" ref={scroller} onScroll={(e) => setTop(e.currentTarget.scrollTop)}>
				<table aria-rowcount={sorted.length + 1}>
					<thead>
						<tr aria-rowindex={1}>{heading('name', 'Function')}{heading('self', 'Self')}{heading('total', 'Total')}</tr>
					</thead>
					<tbody>
						{first > 0 && <tr aria-hidden="true" style={{ height: `${first * ROW_HEIGHT}px` }} />}
						{sorted.slice(first, end).map((f, i) => <Row key={`${f.name}\0${f.file}:${f.line}\0${f.module}`} f={f} index={first + i} props={props} />)}
						{end < sorted.length && <tr aria-hidden="true" style={{ height: `${(sorted.length - end) * ROW_HEIGHT}px` }} />}
					</tbody>
				</table>
			</div>
		</section>
	);
}
