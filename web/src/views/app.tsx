/* SPDX-License-Identifier: Apache-2.0 */
/* app.tsx: the page. */
import { filterName } from '../logic/filter';
import { rangeFormat } from '../logic/time';
import { isLoading, now, problem, status, top, TOP_LIMIT, tree } from './data';
import { FlamePanel } from './flame_panel';
import { Header } from './header';
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
	const { service, type, labels, filters, range } = state.value;
	const chosen = [...labels.map(([name, value]) => `${name}=${value}`), ...filters.map(([kind, text]) => `${filterName(kind)} ${text}`)];
	return (
		<>
			<h2>No samples here</h2>
			<p>
				{type} of {service ?? 'all services'}{chosen.length > 0 && ` with ${chosen.join(', ')}`}, {rangeFormat(range, now.peek())}
			</p>
			<p class="actions">
				<button onClick={() => update({ range: { kind: 'last', seconds: 86_400 } })}>Last 24 hours</button>
				{chosen.length > 0 && <button onClick={() => update({ labels: [], filters: [] })}>Remove filters</button>}
				{service !== null && <button onClick={() => update({ service: null, zoom: [] })}>All services</button>}
			</p>
		</>
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
				empty={status.value?.profiles === 0 ? <Waiting /> : <Nothing />} />
			{top.value && (
				<TopTable rows={top.value.functions} total={top.value.total} unit={top.value.unit} sort={s.sort} fn={s.fn} limit={TOP_LIMIT}
					onSort={(sort) => update({ sort }, 'replace')} onFn={(fn) => update({ fn })} />
			)}
		</main>
	);
}

export function App() {
	return (
		<>
			<Header />
			<Problem />
			<SeriesPanel />
			<QualityStrip />
			<Main />
		</>
	);
}
