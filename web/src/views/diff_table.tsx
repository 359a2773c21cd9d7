/* SPDX-License-Identifier: Apache-2.0 */
/* diff_table.tsx: the functions whose share changed, and whether that is more
 * than chance. */
import { useMemo } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { ChangedFunction, Diff } from '../api/types';
import { changesOf, changeTitle, deltaFormat, verdictFormat, type Move } from '../logic/compare';
import { formatShare, formatValue } from '../logic/format';
import { shortName } from '../logic/name';

export interface DiffTableProps {
	diff: Diff;
	order: 'self' | 'total';
	move: Move;
	fn: string;
	limit: number; /* the server's list is cut there */
	tabs: ComponentChildren;
	onOrder: (order: 'self' | 'total') => void;
	onMove: (move: Move) => void;
	onFn: (name: string) => void;
}

const MOVE_NAMES: readonly (readonly [Move, string])[] = [['all', 'All'], ['grew', 'Grew'], ['shrank', 'Shrank']];

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

function Row({ f, props }: { f: ChangedFunction; props: DiffTableProps }) {
	const v = f[props.order];
	const isSelected = f.name === props.fn;
	const verdict = verdictFormat(v);
	const { unit } = props.diff;
	return (
		<tr data-testid="diff-row" data-name={f.name} class={`${isSelected ? 'selected' : ''} ${v.significant === false ? 'chance' : ''}`}
			onClick={() => props.onFn(isSelected ? '' : f.name)}>
			<td title={[f.name, f.line ? `${f.file}:${f.line}` : f.file, f.module].filter(Boolean).join('\n')}>
				<div class="function">
					<button class="name" aria-pressed={isSelected}>{shortName(f.name)}</button>
					{!!f.line && <span class="line">:{f.line}</span>}
					{f.module && <span class="module">{baseName(f.module)}</span>}
				</div>
			</td>
			<td class="plain" title={formatValue(v.a, unit)}>{formatShare(v.share_a, 1)}</td>
			<td class="plain" title={formatValue(v.b, unit)}>{formatShare(v.share_b, 1)}</td>
			<td class={`plain delta ${v.delta > 0 ? 'grew' : 'shrank'}`} title={changeTitle(v)}>
				{verdict && <span class="verdict">{verdict}</span>} {deltaFormat(v)}
			</td>
		</tr>
	);
}

export function DiffTable(props: DiffTableProps) {
	const { diff, order, move } = props;
	const rows = useMemo(() => changesOf(diff.functions, order, move), [diff, order, move]);
	return (
		<section class="panel top" aria-label="Functions whose share changed">
			<div class="panel-head">
				{props.tabs}
				<span class="grow" />
				<span class="segments small" role="group" aria-label="Which way they moved">
					{MOVE_NAMES.map(([id, text]) => (
						<button key={id} data-testid={`moved-${id}`} aria-pressed={move === id} onClick={() => props.onMove(id)}>{text}</button>
					))}
				</span>
				<span class="segments small" role="group" aria-label="What of a function is compared">
					{(['self', 'total'] as const).map((id) => (
						<button key={id} data-testid={`order-${id}`} aria-pressed={order === id} onClick={() => props.onOrder(id)}>{id}</button>
					))}
				</span>
			</div>
			<div class="top-scroll">
				<table class="diff">
					<thead>
						<tr><th scope="col">Function</th><th scope="col">A</th><th scope="col">B</th><th scope="col" title="Points of the share, B − A">Change</th></tr>
					</thead>
					<tbody>{rows.map((f) => <Row key={`${f.name}\0${f.file}:${f.line}\0${f.module}`} f={f} props={props} />)}</tbody>
				</table>
				{diff.functions.length >= props.limit && <p class="note inset">Looked at: the {props.limit} that changed most.</p>}
				{rows.length === 0 && <p class="empty note">{move === 'all' ? 'No share changed.' : `Nothing ${move}.`}</p>}
			</div>
		</section>
	);
}
