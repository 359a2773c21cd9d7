/* SPDX-License-Identifier: Apache-2.0 */
/* mock_server.ts: the API of docs/http-api.md with made-up data, and the
 * built page, to develop and test the page without the C server. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { ChangedFunction, Exemplar, Heatmap, Quality, Status, TopFunction } from '../src/api/types';
import { slabRead } from '../src/api/slab';
import { topOf, topSort } from '../src/logic/top';
import { treeOf } from '../src/logic/tree';
import { diffSlab, slabOf, type Node } from './slab_writer';

export interface MockData {
	services: string[];
	nodes: (service: string | null) => Node[];
	quality: Quality;
	status: Partial<Status>;
	fail: { status: number; detail: string } | null; /* answer of tree, series, top */
	timedShare: number; /* of the heat map */
}

export const QUALITY: Quality = {
	samples: 5998, lost: { ring_full: 0 }, lost_total: 0, truncated: 0, unnamed_share: 0.021, unnamed_frames: 12,
	sources: ['bpf:cpu-clock'], unwind: ['tables'], stack_ends: [],
};

/* The headers the page must live with. */
const CSP = "default-src 'self'; connect-src 'self' ws:; img-src 'self' data:";

function timeOf(text: string | null, now: number): number {
	const m = /^now(?:-(\d+)([smhd]))?$/.exec(text ?? 'now');
	if (!m) return Number(text);
	const unit: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
	return now - (m[1] ? Number(m[1]) * unit[m[2]] : 0);
}

/* `verdict` as in slabs: 0 = not tested. */
const changed = (a: number, b: number, wholeA: number, wholeB: number, verdict: number): ChangedFunction['self'] => {
	const delta = b / wholeB - a / wholeA;
	const tested = verdict ? { low: delta - 0.05, high: delta + 0.05, significant: verdict === 2 } : {};
	return { a, b, share_a: a / wholeA, share_b: b / wholeB, delta, ...tested };
};

export class MockServer {
	readonly asked: string[] = [];
	private readonly sockets = new Set<Duplex>();
	private readonly server: Server;
	private seq = 1;

	constructor(
		private readonly dist: string,
		readonly data: MockData,
	) {
		this.server = createServer((q, r) => this.answer(q, r));
		this.server.on('upgrade', (q, socket) => this.upgrade(q, socket));
	}

	async start(port = 0): Promise<string> {
		await new Promise<void>((done) => this.server.listen(port, '127.0.0.1', done));
		return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
	}

	async stop(): Promise<void> {
		this.cutLive();
		await new Promise((done) => {
			this.server.close(done);
			this.server.closeAllConnections();
		});
	}

	/* New data arrived: told to every page. */
	news(accepting = true): void {
		this.seq++;
		for (const s of this.sockets) this.send(s, { event: 'profiles', seq: this.seq, newest_ms: Date.now(), services: this.data.services, accepting });
	}

	cutLive(): void {
		for (const s of this.sockets) s.destroy();
		this.sockets.clear();
	}

	private upgrade(q: IncomingMessage, socket: Duplex): void {
		const accept = createHash('sha1').update(`${q.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
		socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
		this.sockets.add(socket);
		socket.on('close', () => this.sockets.delete(socket));
		socket.on('error', () => socket.destroy());
		this.send(socket, { event: 'hello', seq: this.seq });
	}

	private send(socket: Duplex, message: object): void {
		const body = Buffer.from(JSON.stringify(message));
		const head = body.length < 126 ? Buffer.from([0x81, body.length]) : Buffer.from([0x81, 126, body.length >> 8, body.length & 255]);
		socket.write(Buffer.concat([head, body]));
	}

	private answer(q: IncomingMessage, r: ServerResponse): void {
		const url = new URL(q.url!, 'http://mock');
		const json = (body: unknown, code = 200): void => {
			r.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
		};
		if (!url.pathname.startsWith('/api/')) return this.asset(url.pathname, r);
		this.asked.push(url.pathname + url.search);
		const p = url.searchParams;
		const what = url.pathname.slice('/api/v1/'.length);
		if (p.get('query')?.includes('!!'))
			return json({ detail: 'query: at character 7: expected = != =~ or !~ after "host"', code: 'bad_request', field: 'query' }, 400);
		if (this.data.fail && ['tree', 'series', 'top'].includes(what)) return json({ detail: this.data.fail.detail, code: 'internal' }, this.data.fail.status);
		switch (what) {
			case 'services': return json({ services: this.data.services.map((name, i) => ({ name, types: ['cpu:nanoseconds'], total: { 'cpu:nanoseconds': 9e11 / (i + 1) }, last_ms: Date.now() })) });
			case 'types': return json({ types: [{ name: 'cpu:nanoseconds', unit: 'nanoseconds' }] });
			case 'labels': return json({ labels: [{ name: 'host', kind: 'series', values: ['db-1', 'web-1'], truncated: false }, { name: 'thread_name', kind: 'sample', values: ['main', 'worker'], truncated: false }] });
			case 'tree': return void r.writeHead(200, { 'content-type': 'application/octet-stream' }).end(Buffer.from(this.slab(p)));
			case 'series': return json(this.series(p));
			case 'top': return json(this.top(p));
			case 'diff':
				if (p.get('format') !== 'slab') return json(this.diff());
				return void r.writeHead(200, { 'content-type': 'application/octet-stream' }).end(Buffer.from(this.diffTree(p)));
			case 'heatmap': return json(this.heatmap(p));
			case 'profiles': return json(this.profiles(p));
			case 'status': return json({ version: '0.1.0', accepting: true, reason: null, memory: { used: 1, limit: 2 }, disk: { used: 1, limit: 2 }, profiles: 12, oldest_ms: 0, newest_ms: Date.now() - 4000, hosts: [{ name: 'web-1', cpus: 4, last_ms: 0, source: 'bpf:cpu-clock' }], ...this.data.status });
			default: return json({ detail: `no such path ${url.pathname}`, code: 'not_found' }, 404);
		}
	}

	private asset(path: string, r: ServerResponse): void {
		const rows = JSON.parse(readFileSync(join(this.dist, 'manifest.json'), 'utf8')) as { path: string; file: string; type: string }[];
		const row = rows.find((a) => a.path === path);
		if (!row) return void r.writeHead(404).end();
		r.writeHead(200, { 'content-type': row.type, 'content-security-policy': CSP }).end(readFileSync(join(this.dist, row.file)));
	}

	private slab(p: URLSearchParams): ArrayBuffer {
		return slabOf(this.data.nodes(p.get('service')), { quality: this.data.quality, from_ms: 0, to_ms: 0, profiles: 12 });
	}

	private top(p: URLSearchParams): object {
		const tree = treeOf(slabRead(this.slab(p)));
		const functions: TopFunction[] = topSort(topOf(tree), p.get('order') === 'total' ? 'total' : 'self').slice(0, Number(p.get('limit') ?? 100));
		return { type: 'cpu:nanoseconds', unit: 'nanoseconds', total: tree.total[0], functions };
	}

	/* grown 40 % -> 80 %, old gone, steady as it was; the last may be chance. */
	private diffTree(p: URLSearchParams): ArrayBuffer {
		const node = (name: string, self: number): Node => ({ frame: { name, kind: name === 'all' ? 8 : 1 }, depth: name === 'all' ? 0 : 1, self });
		const about = { from_ms: Number(p.get('from')), to_ms: Number(p.get('to')), base_from_ms: Number(p.get('base_from')), base_to_ms: Number(p.get('base_to')) };
		const nodes = [node('all', 0), node('grown', 80), node('steady', 20), node('old', 0)];
		return diffSlab(nodes, [0, 40, 18, 42], [0, 2, 1, 2], { ...about, samples: 1000 });
	}

	private diff(): object {
		const row = (name: string, a: number, b: number, verdict: number): ChangedFunction => {
			const value = changed(a, b, 100, 100, verdict);
			return { name, file: '', module: '/usr/bin/x', self: value, total: value };
		};
		const functions = [row('old', 42, 0, 2), row('grown', 40, 80, 2), row('steady', 18, 20, 1)];
		return { type: 'cpu:nanoseconds', unit: 'nanoseconds', total_a: 100, total_b: 100, samples_a: 1000, samples_b: 1000, functions };
	}

	/* One sample in every cell of every third column, four in thirty cells of column 2. */
	private heatmap(p: URLSearchParams): Heatmap {
		const now = Date.now();
		const column = Number(p.get('column'));
		const rows = Number(p.get('rows'));
		const from = Math.floor(timeOf(p.get('from'), now) / column) * column;
		const n = Math.ceil((timeOf(p.get('to'), now) - from) / column);
		const value = (i: number, k: number): number => (i === 2 && k >= 5 && k < 35 ? 4e7 : i % 3 === 0 ? 1e7 : 0);
		const columns = Array.from({ length: n }, (_, i) => Array.from({ length: rows }, (_unused, k) => value(i, k)));
		return { type: 'cpu:nanoseconds', unit: 'nanoseconds', from_ms: from, column_ms: column, rows, timed_share: this.data.timedShare, columns };
	}

	private profiles(p: URLSearchParams): object {
		const row = (host: string, from: number, value: number): Exemplar => ({ service: 'api', host, type: 'cpu:nanoseconds', from_ms: from, to_ms: from + 10_000, value });
		const largest = [row('web-1', 1_700_000_000_000, 9e9), row('web-2', 1_700_000_060_000, 3e9)];
		return { profiles: 1440, largest: p.get('focus') === '^nowhere$' ? [] : largest };
	}

	private series(p: URLSearchParams): object {
		const now = Date.now();
		const from = timeOf(p.get('from'), now);
		const to = timeOf(p.get('to'), now);
		const step = Math.max(10_000, Math.ceil((to - from) / 300 / 10_000) * 10_000);
		const start = Math.floor(from / step) * step;
		const n = Math.ceil((to - start) / step);
		const isGap = (i: number): boolean => i > n * 0.3 && i < n * 0.37;
		const wave = (i: number): number => 1.1 + 0.5 * Math.sin((start / step + i) / 9) + 0.25 * Math.sin((start / step + i) * 1.7);
		const each = <T>(f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));
		return {
			type: 'cpu:nanoseconds', unit: 'nanoseconds', from_ms: start, step_ms: step,
			values: each((i) => (isGap(i) ? null : wave(i) * step * 1e6)),
			covered_ms: each((i) => (isGap(i) ? 0 : step)),
			capacity_cores: each((i) => (isGap(i) ? null : 4)),
		};
	}
}
