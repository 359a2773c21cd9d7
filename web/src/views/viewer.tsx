/* SPDX-License-Identifier: Apache-2.0 */
/* viewer.tsx: the self-contained page: one slab that stands in the document
 * as base64, the same flame graph and table, no server. */
import { computed, signal } from '@preact/signals';
import { render } from 'preact';
import { slabRead } from '../api/slab';
import '../style.css';
import { diffTree, hasDiff, type DiffWidth } from '../logic/diff';
import { formatCount, formatShare, formatValue } from '../logic/format';
import { topOf, topSort } from '../logic/top';
import { treeOf, type Tree } from '../logic/tree';
import { FlamePanel } from './flame_panel';
import { state, themeName, update } from './store';
import { ThemeButton } from './theme_button';
import { TopTable } from './top_table';
import { WidthToggle } from './width_toggle';

const MAX_ROWS = 10_000;

function embeddedSlab(): ArrayBuffer {
	const text = atob(document.getElementById('slab')!.textContent!.trim());
	const bytes = new Uint8Array(text.length);
	for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
	return bytes.buffer;
}

function summary(t: Tree): string {
	const facts = [t.meta.type, formatValue(t.total[0], t.meta.unit)];
	if (t.meta.quality) facts.push(`${formatCount(t.meta.quality.samples)} samples`, `${formatShare(t.meta.quality.unnamed_share, 1)} without a name`);
	if (t.prunedTotal > 0) facts.push(`${formatShare(t.prunedTotal, t.total[0])} in small frames left out`);
	return facts.filter(Boolean).join(' · ');
}

const slab = slabRead(embeddedSlab());
const width = signal<DiffWidth>('b');
const tree = computed<Tree>(() => (hasDiff(slab) ? diffTree(slab, width.value) : treeOf(slab)));
/* A side of a comparison lists only what it has. */
const rows = computed(() => topOf(tree.value).filter((f) => !hasDiff(slab) || f.total > 0));
const shown = computed(() => topSort(rows.value, state.value.sort === 'total' ? 'total' : 'self').slice(0, MAX_ROWS));

function Viewer() {
	const t = tree.value;
	const s = state.value;
	return (
		<>
			<header class="bar">
				<h1>{document.title}</h1>
				<span class="note number">{summary(t)}</span>
				<span class="grow" />
				{hasDiff(slab) && <WidthToggle width={width.value} onWidth={(w) => (width.value = w)} />}
				<ThemeButton />
			</header>
			<main>
				<FlamePanel tree={t} zoom={s.zoom} search={s.search} fn={s.fn} theme={themeName.value} onZoom={(zoom) => update({ zoom })}
					onSearch={(search) => update({ search }, 'replace')} onFn={(fn) => update({ fn })} empty={<h2>This profile has no samples</h2>} />
				<TopTable rows={shown.value} total={t.total[0]} unit={t.meta.unit} sort={s.sort} fn={s.fn} limit={MAX_ROWS}
					onSort={(sort) => update({ sort }, 'replace')} onFn={(fn) => update({ fn })} />
			</main>
		</>
	);
}

render(<Viewer />, document.getElementById('app')!);
