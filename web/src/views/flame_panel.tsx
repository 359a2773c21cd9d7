/* SPDX-License-Identifier: Apache-2.0 */
/* flame_panel.tsx: the flame graph with its search, path and keyboard.
 *
 *   .flame-scroll (scrolls)          the canvas is as large as this box and
 *     canvas (sticky)                sticks to its top; the spacer below gives
 *     .spacer (height of all rows)   the scroll bar its length
 *
 * What pointer and keyboard are on is marked by elements above the canvas:
 * moving them repaints nothing. Places are kept as paths of names, so that a refresh changes the tree
 * under the reader's eyes and nothing else. */
import { useSignal, type Signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { FlameCanvas } from '../gl/flame';
import { canvasTheme } from '../gl/theme';
import { KIND_LEGEND } from '../logic/color';
import { changeFormat } from '../logic/diff';
import { formatShare, formatValue } from '../logic/format';
import { foundOf, foundText, hasDoubtful } from '../logic/found';
import { MARK_MATCH, MARK_SELECTED } from '../logic/layout';
import { shortName } from '../logic/name';
import { isNavKey, navigate, siblingPlace } from '../logic/nav';
import { incompleteText } from '../logic/stack_end';
import { marksOf, markedTotal, matcherOf } from '../logic/search';
import { depthBelow, isInside, isPruned, nodeFacts, nodeName, pathOf, pathResolve, type Tree } from '../logic/tree';
import { exposeFlame } from './flame_hook';
import { TooltipBox } from './tooltip';

export interface FlamePanelProps {
	tree: Tree;
	zoom: readonly string[];
	search: string;
	fn: string;
	theme: string;
	onZoom: (path: string[]) => void;
	onSearch: (text: string) => void;
	onFn: (name: string) => void;
	empty: ComponentChildren;
}

const FONT = '12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const isCoarse = matchMedia('(pointer: coarse)').matches;
const ROW_HEIGHT = isCoarse ? 26 : 19;
const isMotionReduced = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;

interface Hover {
	node: number;
	x: number;
	y: number;
}

/* Name, place, certainty and numbers of a node as lines of text. */
function describe(t: Tree, node: number, root: number): { name: string; where: string; trust: string; numbers: string } {
	const f = nodeFacts(t, node);
	const unit = t.meta.unit;
	const view = root === 0 ? '' : ` · ${formatShare(t.total[node], t.total[root])} of view`;
	const kind = f.isPruned ? '' : f.isNamed ? f.kind : `${f.kind}, no name known`;
	return {
		name: f.name,
		where: [kind, f.file, f.module].filter(Boolean).join(' · '),
		trust: incompleteText(f.name, f.kind) || foundText(foundOf(t, node)),
		numbers: `total ${formatValue(t.total[node], unit)} · ${formatShare(t.total[node], t.total[0])}${view} · ` +
			`self ${formatValue(t.self[node], unit)}${t.diff ? ` · ${changeFormat(t.diff, node)}` : ''}`,
	};
}

/* Where a node's box is in the scrolled area. */
function placeOf(t: Tree, node: number, root: number): Record<string, string> {
	const percent = (v: number): string => `${(t.total[root] > 0 ? (v / t.total[root]) * 100 : 0).toFixed(4)}%`;
	return {
		top: `${(t.depth[node] - t.depth[root]) * ROW_HEIGHT}px`,
		left: percent(t.left[node] - t.left[root]),
		width: percent(t.total[node]),
		height: `${ROW_HEIGHT}px`,
	};
}

function HoverMark({ tree, root, hover }: { tree: Tree; root: number; hover: Signal<Hover | null> }) {
	const h = hover.value;
	if (!h || !isInside(tree, h.node, root)) return null;
	return <div class="mark" style={placeOf(tree, h.node, root)} aria-hidden="true" />;
}

function Tooltip({ tree, root, hover }: { tree: Tree; root: number; hover: Signal<Hover | null> }) {
	const h = hover.value;
	if (!h || !isInside(tree, h.node, root)) return null;
	const d = describe(tree, h.node, root);
	return (
		<TooltipBox x={h.x} y={h.y} testid="tooltip">
			<b>{d.name}</b>
			{d.where && <span class="note">{d.where}</span>}
			{d.trust && <span class="note" data-testid="tooltip-trust">{d.trust}</span>}
			<span class="number">{d.numbers}</span>
		</TooltipBox>
	);
}

function Breadcrumb({ path, isWhole, onZoom }: { path: readonly string[]; isWhole: boolean; onZoom: (path: string[]) => void }) {
	const ref = useRef<HTMLElement>(null);
	useEffect(() => {
		if (ref.current) ref.current.scrollLeft = ref.current.scrollWidth;
	}, [path]);
	return (
		<nav class="crumbs" aria-label="Zoomed to" ref={ref} data-testid="breadcrumb">
			<button onClick={() => onZoom([])} disabled={path.length === 0}>all</button>
			{path.map((name, i) => (
				<button key={i} class={i === path.length - 1 ? 'here' : ''} title={name} onClick={() => onZoom(path.slice(0, i + 1))}>{shortName(name)}</button>
			))}
			{path.length === 0 && <span class="note">Click a box to zoom in, / to search</span>}
			{path.length > 0 && <button class="reset" data-testid="zoom-reset" onClick={() => onZoom([])}>reset</button>}
			{!isWhole && <span class="note warn">not in this selection; its nearest caller is shown</span>}
		</nav>
	);
}

interface Found {
	text: string;
	error: string;
}

function SearchBox({ search, found, onSearch, onDone }: { search: string; found: Found | null; onSearch: (s: string) => void; onDone: () => void }) {
	return (
		<span class="search">
			<input type="search" id="flame-search" data-testid="search-input" value={search} placeholder="Search or /regex/" spellcheck={false}
				autocomplete="off" aria-label="Search functions; text or a /regular expression/" aria-invalid={!!found?.error}
				onInput={(e) => onSearch(e.currentTarget.value)}
				onKeyDown={(e) => {
					if (e.key === 'Escape') onSearch('');
					if (e.key === 'Escape' || e.key === 'Enter') onDone();
					e.stopPropagation();
				}} />
			<output class={found?.error ? 'note warn' : 'note number'} data-testid="search-share" for="flame-search">{found?.error || found?.text}</output>
		</span>
	);
}

function Legend({ tree, theme }: { tree: Tree; theme: string }) {
	const kinds = useMemo(() => {
		const ret = new Set<number>();
		for (const k of tree.slab.funcKind) ret.add(k & 0x80 ? 0 : k);
		return ret;
	}, [tree]);
	const isSometimesDoubtful = useMemo(() => hasDoubtful(tree), [tree]);
	const doubt = isSometimesDoubtful && <i class="doubt" data-testid="doubt-legend">less certain: by frame pointer or guess</i>;
	if (tree.diff)
		return (
			<span class={`legend ${theme}`} aria-hidden="true" data-testid="diff-legend">
				{(['more in B', 'less in B', 'no significant change', 'hatched: gone'] as const).map((text, i) => <i key={text} class={`change-${i}`}>{text}</i>)}
				{doubt}
			</span>
		);
	return (
		<span class={`legend ${theme}`} aria-hidden="true">
			{KIND_LEGEND.filter(([, of]) => of.some((k) => kinds.has(k))).map(([name, of]) => <i key={name} class={`kind-${of[0]}`}>{name}</i>)}
			{doubt}
		</span>
	);
}

export function FlamePanel(props: FlamePanelProps) {
	const { tree, zoom, search, fn, theme } = props;
	const scroller = useRef<HTMLDivElement>(null);
	const canvas = useRef<HTMLCanvasElement>(null);
	const flame = useRef<FlameCanvas | null>(null);
	const hover = useSignal<Hover | null>(null);
	const focusPath = useSignal<string[] | null>(null);
	const back = useRef<string[][]>([]);
	const latest = useRef(props);
	latest.current = props;

	const { node: root, isWhole } = useMemo(() => pathResolve(tree, zoom), [tree, zoom]);
	const { matcher, error } = useMemo(() => matcherOf(search), [search]);
	const marks = useMemo(() => marksOf(tree, matcher, fn), [tree, matcher, fn]);
	const rows = useMemo(() => depthBelow(tree, root) + 1, [tree, root]);
	const focus = focusPath.value ? pathResolve(tree, focusPath.value).node : root;
	const isEmpty = !(tree.total[0] > 0);

	const shareOf = (mark: number): string => {
		const sum = markedTotal(tree, marks.byFunc, mark, 0);
		const view = root === 0 ? '' : `, ${formatShare(markedTotal(tree, marks.byFunc, mark, root), tree.total[root])} of view`;
		return `${formatShare(sum, tree.total[0])}${view}`;
	};
	const found = useMemo<Found | null>(() => {
		if (error) return { text: '', error };
		return matcher ? { text: `${shareOf(MARK_MATCH)} · ${marks.nMatched.toLocaleString('en')} functions`, error: '' } : null;
	}, [marks, root, error]);
	const selectedShare = useMemo(() => (fn ? shareOf(MARK_SELECTED) : ''), [marks, root, fn]);

	const zoomTo = (path: string[]): void => {
		back.current.push([...latest.current.zoom]);
		if (back.current.length > 100) back.current.shift();
		latest.current.onZoom(path);
	};
	const zoomBack = (): void => {
		if (latest.current.zoom.length > 0) latest.current.onZoom(back.current.pop() ?? []);
	};
	const zoomToNode = (node: number): void => {
		if (node >= 0 && !isPruned(tree, node) && node !== root) zoomTo(pathOf(tree, node));
	};

	useEffect(() => {
		const area = scroller.current!;
		const f = new FlameCanvas(canvas.current!, canvasTheme(area), ROW_HEIGHT, FONT);
		flame.current = f;
		const observer = new ResizeObserver(() => f.setSize(area.clientWidth, area.clientHeight, devicePixelRatio));
		observer.observe(area);
		exposeFlame(f, () => latest.current.zoom);
		return () => observer.disconnect();
	}, []);
	useEffect(() => flame.current!.setTheme(canvasTheme(scroller.current!)), [theme]);

	/* A new tree is put in place as it is; within one tree a zoom moves. */
	const drawn = useRef<Tree | null>(null);
	useEffect(() => {
		const f = flame.current!;
		if (drawn.current !== tree) {
			drawn.current = tree;
			f.setTree(tree, root);
			hover.value = null;
		} else {
			f.zoomTo(root, !isMotionReduced());
			scroller.current!.scrollTop = 0;
		}
	}, [tree, root]);
	useEffect(() => flame.current!.setMarks(marks.byFunc, matcher !== null), [marks]);

	useEffect(() => {
		const onKey = (e: KeyboardEvent): void => {
			const target = e.target as HTMLElement;
			if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) || e.ctrlKey || e.metaKey || e.altKey) return;
			if (e.key === '/') {
				e.preventDefault();
				document.getElementById('flame-search')?.focus();
			} else if (e.key === 'Escape') {
				zoomBack();
			}
		};
		addEventListener('keydown', onKey);
		return () => removeEventListener('keydown', onKey);
	}, []);

	const point = (e: MouseEvent): { node: number; x: number; y: number } => {
		const box = canvas.current!.getBoundingClientRect();
		return { node: flame.current!.hit(e.clientX - box.left, e.clientY - box.top), x: e.clientX, y: e.clientY };
	};
	const onMove = (e: PointerEvent): void => {
		const h = point(e);
		hover.value = h.node < 0 ? null : h;
	};
	const focusOn = (node: number): void => {
		focusPath.value = pathOf(tree, node);
		const area = scroller.current!;
		const y = (tree.depth[node] - tree.depth[root]) * ROW_HEIGHT;
		if (y < area.scrollTop) area.scrollTop = y;
		else if (y + ROW_HEIGHT > area.scrollTop + area.clientHeight) area.scrollTop = y + ROW_HEIGHT - area.clientHeight;
	};
	const onKeyDown = (e: KeyboardEvent): void => {
		if (e.ctrlKey || e.metaKey || e.altKey) return;
		const from = isInside(tree, focus, root) ? focus : root;
		if (isNavKey(e.key)) focusOn(navigate(tree, from, e.key, root));
		else if (e.key === 'Enter') zoomToNode(from);
		else if (e.key === ' ') props.onFn(isPruned(tree, from) || from === 0 || fn === nodeName(tree, from) ? '' : nodeName(tree, from));
		else return;
		e.preventDefault();
	};
	const onClick = (e: MouseEvent): void => {
		const { node } = point(e);
		if (node < 0) return;
		focusPath.value = null;
		hover.value = null;
		zoomToNode(node);
	};
	const onDoubleClick = (e: MouseEvent): void => {
		const { node } = point(e);
		if (node === root && latest.current.zoom.length > 0 && e.detail === 2) zoomTo([]);
	};

	const place = siblingPlace(tree, focus);
	const said = describe(tree, focus, root);
	return (
		<section class="panel flame" aria-label="Flame graph">
			<div class="panel-head">
				<SearchBox search={search} found={found} onSearch={props.onSearch} onDone={() => scroller.current?.focus()} />
				{fn && (
					<span class="chip" data-testid="selected-fn">
						<span class="cut" title={fn}>{shortName(fn)}</span> <span class="number">{selectedShare}</span>
						<button aria-label="Select no function" onClick={() => props.onFn('')}>×</button>
					</span>
				)}
				<span class="grow" />
				<Legend tree={tree} theme={theme} />
			</div>
			<Breadcrumb path={zoom} isWhole={isWhole} onZoom={zoomTo} />
			<div class="flame-scroll" ref={scroller} tabIndex={0} role="tree" aria-label="Call tree. Arrow keys move, Enter zooms, Escape goes back."
				aria-activedescendant="flame-focus" onScroll={(e) => flame.current?.setScroll(e.currentTarget.scrollTop)} onKeyDown={onKeyDown}
				onFocus={(e) => e.currentTarget.matches(':focus-visible') && !focusPath.peek() && focusOn(root)}>
				<canvas ref={canvas} data-testid="flame-canvas" onPointerMove={onMove} onPointerLeave={() => (hover.value = null)} onClick={onClick}
					onDblClick={onDoubleClick} aria-hidden="true" />
				<div class="spacer" style={{ height: `${isEmpty ? 0 : rows * ROW_HEIGHT}px` }} />
				<HoverMark tree={tree} root={root} hover={hover} />
				<div id="flame-focus" class={focusPath.value ? 'mark focus' : 'unseen'} role="treeitem" style={placeOf(tree, focus, root)}
				 aria-level={tree.depth[focus] + 1} aria-posinset={place.place}
					aria-setsize={place.count} aria-expanded={focus + 1 < tree.end[focus]} aria-label={`${said.name}, ${said.numbers}`} />
			</div>
			{isEmpty && <div class="empty" data-testid="empty">{props.empty}</div>}
			<p class="unseen" aria-live="polite" data-testid="flame-live">{focusPath.value ? [said.name, said.where, said.trust, said.numbers].filter(Boolean).join(', ') : ''}</p>
			<Tooltip tree={tree} root={root} hover={hover} />
		</section>
	);
}
