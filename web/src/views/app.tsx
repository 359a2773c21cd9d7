/* SPDX-License-Identifier: Apache-2.0 */
/* app.tsx: the page. */
import { filterName } from '../logic/filter';
import { rangeFormat } from '../logic/time';
import type { TreeMeta } from '../api/types';
import type { List } from '../logic/url';
import { CompareBar } from './compare_bar';
import { CHANGES_LIMIT, diff, isLoading, now, problem, status, top, TOP_LIMIT, tree } from './data';
import { DiffTable } from './diff_table';
import { FlamePanel } from './flame_panel';
import { Header } from './header';
import { ProfileList } from './profile_list';
import { QualityStrip } from './quality';
import { SeriesPanel } from './series_panel';
import { state, themeName, update } from './store';
import { TopTable } from './top_table';

function Waiting() {
	return (
		<>
			<h2>Waiting for the first window, about 10 s</h2>
			<p>No profile has arrived yet. The page shows it by itself.</p>
			<p>If nothing comes, start the agent on this machine: <code>wick agent</code></p>
		</>
	);
}

function Nothing() {
	const { service, type, labels, query, filters, range } = state.value;
	const chosen = [...(query ? [query] : []), ...labels.map(([name, value]) => `${name}=${value}`), ...filters.map(([kind, text]) => `${filterName(kind)} ${text}`)];
	return (
		<>
			<h2>No samples here</h2>
			<p>
				{type} of {service ?? 'all services'}{chosen.length > 0 && ` with ${chosen.join(', ')}`}, {rangeFormat(range, now.peek())}
			</p>
			<p class="actions">
				<button onClick={() => update({ range: { kind: 'last', seconds: 86_400 } })}>Last 24 hours</button>
				{chosen.length > 0 && <button onClick={() => update({ labels: [], query: '', filters: [] })}>Remove filters</button>}
				{service !== null && <button onClick={() => update({ service: null, zoom: [] })}>All services</button>}
			</p>
		</>
	);
}

function NothingToCompare({ meta }: { meta: TreeMeta }) {
	const { width } = state.value;
	const { whole_a, whole_b } = meta.diff!;
	if (whole_a === 0 && whole_b === 0) return <Nothing />;
	if (width === 'gone' && whole_b > 0) return <h2>Nothing is gone: B has every call path that A has</h2>;
	const [empty, other] = whole_b === 0 ? ['B', 'A'] : ['A', 'B'];
	return (
		<>
			<h2>No samples in {empty}</h2>
			<p class="actions">
				<button onClick={() => update({ width: other === 'A' ? 'a' : 'b' }, 'replace')}>Show {other}</button>
			</p>
		</>
	);
}

const LISTS: readonly (readonly [List, string, string])[] = [
	['functions', 'Functions', 'Functions by their share'],
	['profiles', 'Profiles', 'The single profiles with the most of what is shown, or of the selected function'],
];

function ListTabs() {
	const { list } = state.value;
	return (
		<span class="segments small" role="group" aria-label="List">
			{LISTS.map(([id, text, title]) => (
				<button key={id} data-testid={`list-${id}`} title={title} aria-pressed={list === id} onClick={() => update({ list: id }, 'replace')}>{text}</button>
			))}
		</span>
	);
}

function ListPanel() {
	const s = state.value;
	const onFn = (fn: string): void => update({ fn });
	const tabs = <ListTabs />;
	if (s.list === 'profiles') return <ProfileList tabs={tabs} />;
	if (tree.value?.diff) {
		if (!diff.value) return null;
		return (
			<DiffTable diff={diff.value} order={s.sort === 'total' ? 'total' : 'self'} move={s.moved} fn={s.fn} limit={CHANGES_LIMIT} tabs={tabs}
				onFn={onFn} onOrder={(sort) => update({ sort }, 'replace')} onMove={(moved) => update({ moved }, 'replace')} />
		);
	}
	if (!top.value) return null;
	return (
		<TopTable rows={top.value.functions} total={top.value.total} unit={top.value.unit} sort={s.sort} fn={s.fn} limit={TOP_LIMIT} tabs={tabs}
			onSort={(sort) => update({ sort }, 'replace')} onFn={onFn} />
	);
}

function Problem() {
	if (!problem.value) return null;
	return <p class="problem" role="alert" data-testid="problem">{problem.value}</p>;
}

function Main() {
	const t = tree.value;
	const s = state.value;
	if (!t) return <main class="empty" data-testid="empty">{isLoading.value ? <p>Loading…</p> : <p>Nothing to show yet.</p>}</main>;
	return (
		<main>
			<FlamePanel tree={t} zoom={s.zoom} search={s.search} fn={s.fn} theme={themeName.value}
				onZoom={(zoom) => update({ zoom })}
				onSearch={(search) => update({ search }, 'replace')}
				onFn={(fn) => update({ fn })}
				empty={t.diff ? <NothingToCompare meta={t.meta} /> : status.value?.profiles === 0 ? <Waiting /> : <Nothing />} />
			<ListPanel />
		</main>
	);
}

export function App() {
	return (
		<>
			<Header />
			<Problem />
			<CompareBar />
			<SeriesPanel />
			<QualityStrip />
			<Main />
		</>
	);
}
