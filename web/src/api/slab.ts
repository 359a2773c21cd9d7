/* SPDX-License-Identifier: Apache-2.0 */
/* slab.ts: views onto a call tree sent as columns (docs/slab-format.md).
 *
 *   ArrayBuffer:  head | table | node.func | node.depth | ... | str.bytes | meta
 *                                  ^ Uint32Array on the same bytes, no copy
 *
 * Everything a reader later indexes with is checked here once: after
 * slabRead() each id is in range, depths form a tree and values are finite
 * and not negative. Names are decoded when first asked for. Browsers are
 * little-endian, as the format is. */
import type { TreeMeta } from './types';

export const FUNC_PRUNED = 0xffffffff;
export const KIND_UNNAMED = 0x80; /* bit of func.kind */

const MAGIC = 'wickslab';
const VERSION = 1;
const HEAD_SIZE = 32;
const ROW_SIZE = 32;
const MAX_COLUMNS = 256;

export class SlabError extends Error {}

export interface Slab {
	func: Uint32Array;
	depth: Uint16Array;
	self: Float64Array;
	pruned: Uint32Array;
	funcName: Uint32Array;
	funcFile: Uint32Array;
	funcModule: Uint32Array;
	funcKind: Uint8Array;
	funcLine?: Uint32Array; /* where the lines of a function stand apart; 0 unknown */
	found?: Uint8Array; /* where it is known of some frame: see logic/found.ts */
	base?: Float64Array; /* of a comparison, all four: the other side's value */
	low?: Float64Array; /* interval of the change of the node's share */
	high?: Float64Array;
	verdict?: Uint8Array; /* 0 unknown, 1 not significant, 2 significant */
	string(index: number): string;
	meta: TreeMeta;
}

interface Column {
	elementSize: number;
	count: number;
	offset: number;
}

const decoder = new TextDecoder();

/* Offsets and sizes above 2^53 lose bits, which makes them no less too large. */
function u64(view: DataView, at: number): number {
	return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

function readTable(buffer: ArrayBuffer): Map<string, Column> {
	if (buffer.byteLength < HEAD_SIZE) throw new SlabError(`slab of ${buffer.byteLength} bytes: its head is ${HEAD_SIZE}`);
	const view = new DataView(buffer);
	const magic = decoder.decode(new Uint8Array(buffer, 0, 8));
	if (magic !== MAGIC) throw new SlabError('not a slab: it does not start with "wickslab"');
	const version = view.getUint32(8, true);
	if (version !== VERSION) throw new SlabError(`slab version ${version}: this page reads version ${VERSION}`);
	const columns = view.getUint32(12, true);
	const size = u64(view, 16);
	if (size !== buffer.byteLength) throw new SlabError(`slab says it has ${size} bytes, ${buffer.byteLength} came`);
	if (columns > MAX_COLUMNS) throw new SlabError(`slab with ${columns} columns: at most ${MAX_COLUMNS}`);
	if (HEAD_SIZE + columns * ROW_SIZE > size) throw new SlabError('slab ends inside its column table');

	const ret = new Map<string, Column>();
	for (let i = 0; i < columns; i++) {
		const at = HEAD_SIZE + i * ROW_SIZE;
		const name = decoder.decode(new Uint8Array(buffer, at, 16)).replace(/\0+$/, '');
		const column = { elementSize: view.getUint32(at + 16, true), count: view.getUint32(at + 20, true), offset: u64(view, at + 24) };
		if (ret.has(name)) throw new SlabError(`column ${name} stands twice`);
		if (column.offset % 8 !== 0) throw new SlabError(`column ${name}: offset ${column.offset} is not a multiple of 8`);
		if (column.offset + column.elementSize * column.count > size) throw new SlabError(`column ${name} ends outside the slab`);
		ret.set(name, column);
	}
	return ret;
}

type ArrayType<T> = { new (buffer: ArrayBuffer, offset: number, count: number): T; readonly BYTES_PER_ELEMENT: number };

function columnView<T>(buffer: ArrayBuffer, table: Map<string, Column>, name: string, type: ArrayType<T>): T {
	const column = table.get(name);
	if (!column) throw new SlabError(`column ${name} is missing`);
	if (column.elementSize !== type.BYTES_PER_ELEMENT)
		throw new SlabError(`column ${name}: elements of ${column.elementSize} bytes, expected ${type.BYTES_PER_ELEMENT}`);
	return new type(buffer, column.offset, column.count);
}

function sameCount(name: string, have: number, want: number): void {
	if (have !== want) throw new SlabError(`column ${name} has ${have} elements, expected ${want}`);
}

function checkStrings(offset: Uint32Array, bytes: number): void {
	if (offset.length === 0) throw new SlabError('column str.offset is empty');
	for (let i = 1; i < offset.length; i++)
		if (offset[i] < offset[i - 1]) throw new SlabError(`string ${i - 1} ends before it starts`);
	if (offset[offset.length - 1] > bytes) throw new SlabError('the last string ends outside str.bytes');
}

function checkFuncs(s: Slab, strings: number): void {
	for (const [name, ids] of [['name', s.funcName], ['file', s.funcFile], ['module', s.funcModule]] as const) {
		sameCount(`func.${name}`, ids.length, s.funcName.length);
		for (let i = 0; i < ids.length; i++)
			if (ids[i] >= strings) throw new SlabError(`function ${i}: ${name} is string ${ids[i]} of ${strings}`);
	}
	sameCount('func.kind', s.funcKind.length, s.funcName.length);
	if (s.funcLine) sameCount('func.line', s.funcLine.length, s.funcName.length);
}

function checkNodes(s: Slab): void {
	const n = s.func.length;
	if (n === 0) throw new SlabError('slab without nodes: it needs at least the root');
	sameCount('node.depth', s.depth.length, n);
	sameCount('node.self', s.self.length, n);
	sameCount('node.pruned', s.pruned.length, n);
	if (s.depth[0] !== 0) throw new SlabError(`node 0: depth ${s.depth[0]}, the root has 0`);
	for (let i = 0; i < n; i++) {
		const func = s.func[i];
		if (func !== FUNC_PRUNED && func >= s.funcName.length)
			throw new SlabError(`node ${i}: function ${func} of ${s.funcName.length}`);
		if (i > 0 && (s.depth[i] === 0 || s.depth[i] > s.depth[i - 1] + 1))
			throw new SlabError(`node ${i}: depth ${s.depth[i]} cannot follow ${s.depth[i - 1]}`);
		if (!(s.self[i] >= 0 && s.self[i] < Infinity)) throw new SlabError(`node ${i}: value ${s.self[i]}`);
	}
}

function checkDiff(s: Slab): void {
	const n = s.func.length;
	for (const [name, column] of [['base', s.base], ['low', s.low], ['high', s.high], ['verdict', s.verdict]] as const) {
		sameCount(`node.${name}`, column!.length, n);
		for (let i = 0; i < n; i++) if (!Number.isFinite(column![i]) || (name === 'base' && column![i] < 0)) throw new SlabError(`node ${i}: ${name} ${column![i]}`);
	}
	const { whole_a, whole_b } = s.meta.diff ?? {};
	if (typeof whole_a !== 'number' || typeof whole_b !== 'number') throw new SlabError('column meta does not say what shares are of');
}

function readMeta(bytes: Uint8Array): TreeMeta {
	let meta: unknown;
	try {
		meta = JSON.parse(decoder.decode(bytes));
	} catch {
		throw new SlabError('column meta is not JSON');
	}
	if (typeof meta !== 'object' || meta === null || typeof (meta as TreeMeta).unit !== 'string')
		throw new SlabError('column meta does not name a unit');
	return meta as TreeMeta;
}

export function slabRead(buffer: ArrayBuffer): Slab {
	const table = readTable(buffer);
	const offset = columnView(buffer, table, 'str.offset', Uint32Array);
	const bytes = columnView(buffer, table, 'str.bytes', Uint8Array);
	checkStrings(offset, bytes.length);
	const strings: (string | undefined)[] = [];
	const ret: Slab = {
		func: columnView(buffer, table, 'node.func', Uint32Array),
		depth: columnView(buffer, table, 'node.depth', Uint16Array),
		self: columnView(buffer, table, 'node.self', Float64Array),
		pruned: columnView(buffer, table, 'node.pruned', Uint32Array),
		funcName: columnView(buffer, table, 'func.name', Uint32Array),
		funcFile: columnView(buffer, table, 'func.file', Uint32Array),
		funcModule: columnView(buffer, table, 'func.module', Uint32Array),
		funcKind: columnView(buffer, table, 'func.kind', Uint8Array),
		string: (i) => (strings[i] ??= decoder.decode(bytes.subarray(offset[i], offset[i + 1]))),
		meta: readMeta(columnView(buffer, table, 'meta', Uint8Array)),
	};
	if (table.has('func.line')) ret.funcLine = columnView(buffer, table, 'func.line', Uint32Array);
	checkFuncs(ret, offset.length - 1);
	checkNodes(ret);
	if (table.has('node.found')) {
		ret.found = columnView(buffer, table, 'node.found', Uint8Array);
		sameCount('node.found', ret.found.length, ret.func.length);
	}
	if (table.has('node.base')) {
		ret.base = columnView(buffer, table, 'node.base', Float64Array);
		ret.low = columnView(buffer, table, 'node.low', Float64Array);
		ret.high = columnView(buffer, table, 'node.high', Float64Array);
		ret.verdict = columnView(buffer, table, 'node.verdict', Uint8Array);
		checkDiff(ret);
	}
	return ret;
}
