/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Heatmap } from '../src/api/types';
import { HEAT_COLUMNS, heatCellText, heatColumn, heatFits, heatMove, heatNothing, heatOf, heatRamp, heatRange, heatSpread, heatSummary, heatTop, N_HEATS,
	rgbParse } from '../src/logic/heat';

const map = (columns: number[][], more: Partial<Heatmap> = {}): Heatmap => ({
	type: 'cpu:nanoseconds', unit: 'nanoseconds', from_ms: new Date(2026, 10, 21, 12, 0, 0).getTime(), column_ms: 1000, rows: columns[0].length, timed_share: 1, columns,
	...more,
});

test('heat: the finest column that fits, or the chosen one', () => {
	assert.deepEqual([900, 3600, 86_400, 30 * 86_400, 400 * 86_400].map((s) => heatColumn(s * 1000, 0).name), ['second', 'minute', 'minute', 'hour', 'day']);
	assert.equal(heatColumn(900_000, 60).name, 'minute');
	assert.equal(heatColumn(86_400_000, 1).name, 'minute', 'a second is too fine for a day');
	for (const c of HEAT_COLUMNS) {
		assert.ok((c.seconds * 1000) % c.rows === 0, 'cells of whole milliseconds, as the API asks for');
		const most = HEAT_COLUMNS.indexOf(c) < 3 ? 1500 : 401;
		assert.ok(most * c.rows <= 400_000 && heatFits(c, most * c.seconds * 1000), c.name);
	}
});

test('heat: one outlier does not leave all others pale', () => {
	assert.deepEqual(heatTop(map([[1, 2, 3, 0]])), { top: 3, isClipped: false });
	assert.deepEqual(heatTop(map([[...Array(999).fill(2), 500]])), { top: 2, isClipped: true });
	assert.deepEqual([0, 0.001, 1, 2, 99].map((v) => heatOf(v, 2)), [0, 1, 16, N_HEATS - 1, N_HEATS - 1]);
});

test('heat: colours go from nothing to the last stop, the least apart from nothing', () => {
	const ramp = heatRamp(['#000000', ' #ffffff'].map(rgbParse));
	assert.equal(ramp.length, N_HEATS);
	assert.deepEqual([ramp[0], ramp[N_HEATS - 1]], [[0, 0, 0], [255, 255, 255]]);
	assert.ok(ramp[1][0] > 30);
	assert.deepEqual(rgbParse('rgb(1, 2, 3)'), [1, 2, 3]);
});

test('heat: nothing to see is said, not drawn', () => {
	assert.match(heatNothing(map([[0, 0]])), /No samples/);
	assert.match(heatNothing(map([[1, 1]], { timed_share: 0 })), /is not known/);
	assert.equal(heatNothing(map([[1, 1]], { timed_share: 0, column_ms: 3_600_000, rows: 60 })), '', 'spread over minutes is no lie');
	assert.equal(heatNothing(map([[1, 1]], { timed_share: 0.01 })), '');
	assert.equal(heatSpread(map([[1]], { timed_share: 0.75 })), '25.0 % has no times of its own and is spread evenly');
	assert.equal(heatSpread(map([[1]], { timed_share: 0.999 })), '');
});

test('heat: a cell says when it is and what is in it', () => {
	const m = map([[0, 0], [30e6, 10e6]]);
	assert.deepEqual(heatCellText(m, { column: 1, row: 0 }), { when: '12:00:01.000 – 12:00:01.500', numbers: '0.06 cores · 30.0 ms · 75.0 % of its column' });
	assert.match(heatSummary(m, 'CPU of api'), /^Heat map of CPU of api: 2 columns, 2 rows; highest 0\.06 cores .* at 12:00:01\.000/);
	assert.deepEqual(heatCellText(map([[5, 0]], { unit: 'count', type: 'samples:count', column_ms: 60_000 }), { column: 0, row: 0 }),
		{ when: '12:00:00 – 12:00:30', numbers: '5 · 100 % of its column' });
});

test('heat: columns are a range, keys stay within the map', () => {
	const m = map([[1, 1], [1, 1], [1, 1]], { from_ms: 10_000 });
	assert.deepEqual(heatRange(m, 2, 1), { kind: 'between', from: 11_000, to: 13_000 });
	const at = { column: 1, row: 0 };
	const to = (key: string): unknown => heatMove(m, at, key);
	assert.deepEqual(['ArrowLeft', 'ArrowUp', 'ArrowDown', 'PageDown', 'Home', 'x'].map(to),
		[{ column: 0, row: 0 }, { column: 1, row: 1 }, at, { column: 2, row: 0 }, { column: 0, row: 0 }, null]);
});
