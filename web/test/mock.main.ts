/* SPDX-License-Identifier: Apache-2.0 */
/* mock.main.ts: node mock.main.mjs [PORT]: the page with made-up data. */
import { MockServer, QUALITY } from './mock_server';
import { sampleNodes } from './sample_tree';

declare const DIST_DIR: string;

const services = ['checkout-api', 'postgres', 'search-indexer', 'nginx', 'node-exporter', 'kworker'];
let round = 0;
const server = new MockServer(DIST_DIR, {
	services,
	nodes: (service) => sampleNodes(20_000, 7 + (round >> 1), service === null ? services : [service]),
	quality: { ...QUALITY, lost: { ring_full: 3, throttled: 1 }, lost_total: 4 },
	status: {},
	fail: null,
	timedShare: 0.93,
});
console.log(await server.start(Number(process.argv[2] ?? 4140)));
setInterval(() => {
	round++;
	server.news();
}, 10_000);
