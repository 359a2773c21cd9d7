/* SPDX-License-Identifier: Apache-2.0 */
/* slab_writer.ts: slabs for tests, written from docs/slab-format.md alone. */

export interface Frame {
	name: string;
	file?: string;
	module?: string;
	kind?: number;
	line?: number;
}

/* One node in preorder; frame null = pruned. */
export interface Node {
	frame: Frame | null;
	depth: number;
	self: number;
	pruned?: number;
	found?: number;
}

type Column = [name: string, data: ArrayBufferView];

export function slabPack(columns: Column[]): ArrayBuffer {
	const align = (n: number): number => Math.ceil(n / 8) * 8;
	const head = 32 + 32 * columns.length;
	const size = columns.reduce((sum, [, data]) => sum + align(data.byteLength), head);
	const ret = new ArrayBuffer(size);
	const view = new DataView(ret);
	const bytes = new Uint8Array(ret);
	const put = (text: string, at: number): void => bytes.set(new TextEncoder().encode(text), at);
	put('wickslab', 0);
	view.setUint32(8, 1, true);
	view.setUint32(12, columns.length, true);
	view.setUint32(16, size, true);
	let offset = head;
	columns.forEach(([name, data], i) => {
		const row = 32 + 32 * i;
		const elementSize = (data as unknown as { BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT;
		put(name, row);
		view.setUint32(row + 16, elementSize, true);
		view.setUint32(row + 20, data.byteLength / elementSize, true);
		view.setUint32(row + 24, offset, true);
		bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
		offset += align(data.byteLength);
	});
	return ret;
}

export function slabColumns(nodes: readonly Node[], meta: object = {}): Column[] {
	const strings = new Map<string, number>([['', 0]]);
	const intern = (s: string): number => strings.get(s) ?? (strings.set(s, strings.size), strings.size - 1);
	const funcs = new Map<string, number>();
	const func = { name: [] as number[], file: [] as number[], module: [] as number[], kind: [] as number[], line: [] as number[] };
	const rowOf = (f: Frame): number => {
		const key = JSON.stringify([f.name, f.file, f.module, f.kind, f.line]);
		const known = funcs.get(key);
		if (known !== undefined) return known;
		func.name.push(intern(f.name));
		func.file.push(intern(f.file ?? ''));
		func.module.push(intern(f.module ?? ''));
		func.kind.push(f.kind ?? 1);
		func.line.push(f.line ?? 0);
		funcs.set(key, funcs.size);
		return funcs.size - 1;
	};
	const ids = nodes.map((n) => (n.frame ? rowOf(n.frame) : 0xffffffff));
	const encoded = [...strings.keys()].map((s) => new TextEncoder().encode(s));
	const offsets = new Uint32Array(encoded.length + 1);
	encoded.forEach((e, i) => (offsets[i + 1] = offsets[i] + e.length));
	const text = new Uint8Array(offsets[encoded.length]);
	encoded.forEach((e, i) => text.set(e, offsets[i]));
	const total = nodes.reduce((sum, n) => sum + n.self, 0);
	const allMeta = { type: 'cpu:nanoseconds', unit: 'nanoseconds', total, nodes: nodes.length, pruned_nodes: 0, ...meta };
	return [
		['node.func', Uint32Array.from(ids)],
		['node.depth', Uint16Array.from(nodes, (n) => n.depth)],
		['node.self', Float64Array.from(nodes, (n) => n.self)],
		['node.pruned', Uint32Array.from(nodes, (n) => n.pruned ?? 0)],
		['func.name', Uint32Array.from(func.name)],
		['func.file', Uint32Array.from(func.file)],
		['func.module', Uint32Array.from(func.module)],
		['func.kind', Uint8Array.from(func.kind)],
		['str.offset', offsets],
		['str.bytes', text],
		['meta', new TextEncoder().encode(JSON.stringify(allMeta))],
		...(nodes.some((n) => n.found) ? [['node.found', Uint8Array.from(nodes, (n) => n.found ?? 0)] as Column] : []),
		...(func.line.some((l) => l > 0) ? [['func.line', Uint32Array.from(func.line)] as Column] : []),
	];
}

/* A comparison: B's values in the nodes, A's in `base`. */
export function diffSlab(nodes: readonly Node[], base: readonly number[], verdict: readonly number[], about: { samples?: number } = {}): ArrayBuffer {
	const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
	const { samples, ...more } = about;
	const known = samples ? { samples_a: samples, samples_b: samples } : {};
	const meta = { ...more, diff: { whole_a: sum(base), whole_b: sum(nodes.map((n) => n.self)), ...known } };
	return slabPack([
		...slabColumns(nodes, meta),
		['node.base', Float64Array.from(base)],
		['node.low', Float64Array.from(base, () => -0.01)],
		['node.high', Float64Array.from(base, () => 0.02)],
		['node.verdict', Uint8Array.from(verdict)],
	]);
}

export const slabOf = (nodes: readonly Node[], meta: object = {}): ArrayBuffer => slabPack(slabColumns(nodes, meta));

/* "main;work 30" lines, merged, children by falling total as the format wants. */
export function nodesOf(folded: string): Node[] {
	interface Branch { name: string; self: number; total: number; children: Map<string, Branch> }
	const branch = (name: string): Branch => ({ name, self: 0, total: 0, children: new Map() });
	const root = branch('all');
	for (const line of folded.trim().split('\n')) {
		const at = line.trim().lastIndexOf(' ');
		const value = Number(line.trim().slice(at + 1));
		let here = root;
		here.total += value;
		for (const name of line.trim().slice(0, at).split(';')) {
			if (!here.children.has(name)) here.children.set(name, branch(name));
			here = here.children.get(name)!;
			here.total += value;
		}
		here.self += value;
	}
	const ret: Node[] = [];
	const open: [Branch, number][] = [[root, 0]];
	while (open.length > 0) {
		const [b, depth] = open.pop()!;
		const frame: Frame = depth === 0 ? { name: 'all', kind: 8 } : { name: b.name, kind: b.name.startsWith('k_') ? 2 : 1 };
		ret.push({ frame, depth, self: b.self });
		const sorted = [...b.children.values()].sort((x, y) => x.total - y.total || (x.name < y.name ? 1 : -1));
		for (const c of sorted) open.push([c, depth + 1]);
	}
	return ret;
}
