/* SPDX-License-Identifier: Apache-2.0 */
/* live.ts: the WebSocket that says "there is new data", never the data.
 *
 *   connecting -> live -> waiting (0.5 s, doubling to 15 s) -> connecting ...
 *
 * The sequence number of the last event survives a reconnect: a hello with
 * another one means that something was missed, and counts as news. */
import type { LiveEvent } from './types';

export type LiveState = 'connecting' | 'live' | 'waiting' | 'off';

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 15_000;

export class Live {
	private socket: WebSocket | null = null;
	private timer = 0;
	private delay = FIRST_DELAY_MS;
	private seq = -1;

	constructor(
		private readonly onState: (state: LiveState) => void,
		private readonly onNews: (accepting: boolean | null) => void,
	) {}

	start(): void {
		if (this.socket || this.timer) return;
		this.connect();
	}

	stop(): void {
		clearTimeout(this.timer);
		this.timer = 0;
		const socket = this.socket;
		this.socket = null;
		socket?.close();
		this.onState('off');
	}

	private connect(): void {
		this.timer = 0;
		this.onState('connecting');
		const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/live`);
		this.socket = socket;
		socket.onmessage = (m) => this.receive(m.data);
		socket.onclose = () => {
			if (this.socket !== socket) return;
			this.socket = null;
			this.onState('waiting');
			/* Spread, so that a restarted server is not met by all pages at once. */
			this.timer = window.setTimeout(() => this.connect(), this.delay * (0.75 + Math.random() / 2));
			this.delay = Math.min(this.delay * 2, MAX_DELAY_MS);
		};
	}

	private receive(data: unknown): void {
		let event: LiveEvent;
		try {
			event = JSON.parse(String(data)) as LiveEvent;
		} catch {
			return;
		}
		if (event.event !== 'hello' && event.event !== 'profiles') return;
		const isFirst = this.seq < 0;
		const isNews = event.seq !== this.seq;
		this.seq = event.seq;
		if (event.event === 'hello') {
			this.delay = FIRST_DELAY_MS;
			this.onState('live');
			if (isNews && !isFirst) this.onNews(null);
		} else if (isNews) {
			this.onNews(event.accepting);
		}
	}
}
