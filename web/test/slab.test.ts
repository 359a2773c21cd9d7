/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FUNC_PRUNED, SlabError, slabRead } from '../src/api/slab';
import { topOf } from '../src/logic/top';
import { nodeFacts, pathOf, pathResolve, treeOf } from '../src/logic/tree';
import { nodesOf, slabColumns, slabOf, slabPack, type Frame } from './slab_writer';

const NODES = nodesOf('main;parse 30\nmain;parse;k_read 10\nmain;write 25\nidle 5');

const copyOf = (b: ArrayBuffer): ArrayBuffer => b.slice(0);

test('slab: every column comes back as it was written', () => {
	const slab = slabRead(slabOf([
		{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 },
		{ frame: { name: 'größe', file: 'a.c', module: '/bin/a', kind: 2 }, depth: 1, self: 2.5 },
		{ frame: { name: 'a+0x10', module: '/bin/a', kind: 0x81 }, depth: 1, self: 1 },
		{ frame: null, depth: 1, self: 4, pruned: 7 },
	]));
	const tree = treeOf(slab);
	assert.deepEqual([...slab.self], [0, 2.5, 1, 4]);
	assert.deepEqual(nodeFacts(tree, 1), { name: 'größe', file: 'a.c', module: '/bin/a', kind: 'kernel', isNamed: true, isPruned: false });
	assert.equal(nodeFacts(tree, 2).isNamed, false);
	assert.equal(slab.func[3], FUNC_PRUNED);
	assert.equal(nodeFacts(tree, 3).name, '(7 small frames left out)');
	assert.equal(tree.prunedTotal, 4);
	assert.equal(slab.meta.unit, 'nanoseconds');
});

test('slab: a tree by lines tells siblings of one function apart', () => {
	const parse = (line: number): Frame => ({ name: 'parse', file: 'a.c', line });
	const tree = treeOf(slabRead(slabOf([
		{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 },
		{ frame: parse(8), depth: 1, self: 5 },
		{ frame: parse(9), depth: 1, self: 3 },
		{ frame: { name: 'read', file: 'a.c' }, depth: 2, self: 1 },
	])));
	assert.deepEqual([1, 2, 3].map((i) => nodeFacts(tree, i).file), ['a.c:8', 'a.c:9', 'a.c']);
	assert.deepEqual(pathOf(tree, 3), ['parse:9', 'read']);
	assert.deepEqual(pathResolve(tree, ['parse:9', 'read']), { node: 3, isWhole: true });
	assert.deepEqual(topOf(tree).map((f) => [f.name, f.line, f.self]), [['parse', 8, 5], ['parse', 9, 3], ['read', 0, 1]]);
});

test('slab: lines stand beside how frames were found', () => {
	const slab = slabRead(slabOf([
		{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 },
		{ frame: { name: 'parse', line: 8 }, depth: 1, self: 5, found: 4 },
		{ frame: { name: 'parse', line: 9 }, depth: 1, self: 3, found: 2 },
	]));
	assert.deepEqual([...slab.found!], [0, 4, 2]);
	assert.deepEqual([...slab.func].map((f) => slab.funcLine![f]), [0, 8, 9]);
});

test('slab: unknown columns are skipped', () => {
	const slab = slabRead(slabPack([['node.future', new Float64Array(3)], ...slabColumns(NODES)]));
	assert.equal(slab.func.length, NODES.length);
});

test('slab: cut anywhere it is refused, and never read past its end', () => {
	const whole = slabOf(NODES);
	for (let size = 0; size < whole.byteLength; size++) assert.throws(() => slabRead(whole.slice(0, size)), SlabError, `size ${size}`);
});

test('slab: one flipped bit anywhere is refused or still makes a sound tree', () => {
	const whole = slabOf(NODES);
	for (let bit = 0; bit < whole.byteLength * 8; bit++) {
		const broken = copyOf(whole);
		new Uint8Array(broken)[bit >> 3] ^= 1 << (bit & 7);
		try {
			const tree = treeOf(slabRead(broken));
			for (let i = 0; i < tree.n; i++) {
				nodeFacts(tree, i);
				assert.ok(tree.end[i] > i && tree.end[i] <= tree.n && (i === 0 || tree.parent[i] < i));
			}
		} catch (e) {
			assert.ok(e instanceof SlabError, `bit ${bit}: ${e}`);
		}
	}
});

const refused: [string, (b: ArrayBuffer, v: DataView) => ArrayBuffer | void, RegExp][] = [
	['another format', (b) => void new Uint8Array(b).set([0x50, 0x4b]), /does not start with "wickslab"/],
	['another version, by its number', (_, v) => v.setUint32(8, 2, true), /version 2/],
	['a size that is not its own', (_, v) => v.setUint32(16, 99, true), /says it has 99 bytes/],
	['more columns than there can be', (_, v) => v.setUint32(12, 100_000, true), /100000 columns/],
	['a column outside', (_, v) => v.setUint32(32 + 24, 1 << 20, true), /node\.func ends outside/],
	['an offset that is not aligned', (_, v) => v.setUint32(32 + 24, 33, true), /not a multiple of 8/],
	['a huge count', (_, v) => v.setUint32(32 + 20, 0xffffffff, true), /ends outside/],
];
for (const [what, change, message] of refused)
	test(`slab: ${what} is refused with the reason`, () => {
		const b = slabOf(NODES);
		change(b, new DataView(b));
		assert.throws(() => slabRead(b), (e: Error) => e instanceof SlabError && message.test(e.message));
	});

function withColumn(name: string, data: ArrayBufferView | null): ArrayBuffer {
	const others = slabColumns(NODES).filter((c) => c[0] !== name);
	return slabPack(data ? [...others, [name, data]] : others);
}

const n = NODES.length;
const wrong: [string, ArrayBufferView | null, RegExp][] = [
	['node.func', null, /node\.func is missing/],
	['node.func', new Uint16Array(n), /elements of 2 bytes, expected 4/],
	['node.func', new Uint32Array(n).fill(99), /node 0: function 99 of/],
	['node.func', new Uint32Array(0), /without nodes/],
	['node.depth', new Uint16Array(n), /node 1: depth 0/],
	['node.depth', new Uint16Array(n).fill(1), /the root has 0/],
	['node.depth', Uint16Array.from([0, 2, 1, 1, 1, 1]), /depth 2 cannot follow 0/],
	['node.self', new Float64Array(n).fill(NaN), /node 0: value NaN/],
	['node.self', new Float64Array(n).fill(-1), /node 0: value -1/],
	['node.self', new Float64Array(n + 1), /elements, expected/],
	['func.name', new Uint32Array(6).fill(77), /function 0: name is string 77/],
	['func.kind', new Uint8Array(1), /func\.kind has 1 elements/],
	['func.line', new Uint32Array(1), /func\.line has 1 elements/],
	['str.offset', new Uint32Array(0), /str\.offset is empty/],
	['str.offset', Uint32Array.from([0, 5, 2, 6, 7, 8, 9, 10]), /string 1 ends before it starts/],
	['str.bytes', new Uint8Array(1), /ends outside str\.bytes/],
	['meta', new Uint8Array([123]), /meta is not JSON/],
	['meta', new TextEncoder().encode('[]'), /does not name a unit/],
];
for (const [name, data, message] of wrong)
	test(`slab: ${name}: ${message.source} is said`, () => {
		assert.throws(() => slabRead(withColumn(name, data)), (e: Error) => e instanceof SlabError && message.test(e.message));
	});
