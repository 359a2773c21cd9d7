/* SPDX-License-Identifier: Apache-2.0 */
/* data.ts: what the server said last, and when to ask again.
 *
 *   selection changed  -> abort what runs, ask now
 *   live event         -> ask at most every REFRESH_MS, never two at once
 *   quiet while live   -> ask every IDLE_MS, so that "now" moves on
 *   tab hidden         -> wait until it is looked at
 *
 * Old answers stay on the page until new ones have come. */
import { batch, computed, effect, signal, untracked } from '@preact/signals';
import { getLabels, getSeries, getServices, getStatus, getTop, getTree, getTypes, isAborted } from '../api/client';
import { Live, type LiveState } from '../api/live';
import type { Label, ProfileType, Selection, Series, Service, Status, Top } from '../api/types';
import { rangeParams } from '../logic/time';
import { treeOf, type Tree } from '../logic/tree';
import { queryKey, state } from './store';

const REFRESH_MS = 2_000;
const IDLE_MS = 30_000;
const STATUS_MS = 10_000;
export const TOP_LIMIT = 1_000;

export const services = signal<Service[]>([]);
export const types = signal<ProfileType[]>([]);
export const tree = signal<Tree | null>(null);
export const series = signal<Series | null>(null);
export const top = signal<Top | null>(null);
export const status = signal<Status | null>(null);
export const problem = signal(''); /* of the last round of questions; '' = none */
export const isLoading = signal(false);
export const liveState = signal<LiveState>('off');
export const now = signal(Date.now());

let running: AbortController | null = null;
let wanted = false;
let lastStart = 0;
let refreshTimer = 0;

function selection(): Selection {
	const { service, type, labels, filters, range, lines } = state.peek();
	return { service, type, labels, filters, lines, ...rangeParams(range) };
}

/* Sorting by name sorts what is there. */
const topOrder = computed(() => (state.value.sort === 'total' ? 'total' : 'self'));
const isFollowing = computed(() => state.value.live && state.value.range.kind === 'last');

async function refresh(): Promise<void> {
	running?.abort();
	const control = new AbortController();
	running = control;
	lastStart = Date.now();
	wanted = false;
	isLoading.value = true;
	const { signal: s } = control;
	const ask = selection();
	const keep = <T>(target: { value: T }) => (answer: T): void => {
		if (!s.aborted) target.value = answer;
	};
	const results = await Promise.allSettled([
		getTree(ask, ask.service === null ? 'service' : null, s).then((slab) => keep(tree)(treeOf(slab))),
		getSeries(ask, s).then(keep<Series | null>(series)),
		getTop(ask, topOrder.peek(), TOP_LIMIT, s).then(keep<Top | null>(top)),
		getServices(ask.from, ask.to, s).then(keep(services)),
		getTypes(s).then(keep(types)),
		getStatus(s).then(keep<Status | null>(status)),
	]);
	if (s.aborted) return;
	running = null;
	const failed = results.find((r) => r.status === 'rejected' && !isAborted(r.reason)) as PromiseRejectedResult | undefined;
	batch(() => {
		isLoading.value = false;
		problem.value = failed ? String((failed.reason as Error).message) : '';
	});
	if (wanted) refreshSoon();
}

/* Coalesces: one round per REFRESH_MS, and none on top of a running one. */
function refreshSoon(): void {
	wanted = true;
	if (refreshTimer || running || document.visibilityState === 'hidden') return;
	refreshTimer = window.setTimeout(() => {
		refreshTimer = 0;
		if (wanted && !running && document.visibilityState === 'visible') void refresh();
	}, Math.max(0, lastStart + REFRESH_MS - Date.now()));
}

async function pollStatus(): Promise<void> {
	if (running || document.visibilityState === 'hidden') return;
	try {
		status.value = await getStatus(AbortSignal.timeout(STATUS_MS));
		if (tree.peek() === null || problem.peek()) refreshSoon();
	} catch (e) {
		if (!isAborted(e)) problem.value = (e as Error).message;
	}
}

/* The labels of the selection without its own filters, so that a second
 * value can be chosen. */
export async function loadLabels(): Promise<Label[]> {
	return getLabels({ ...selection(), labels: [] }, AbortSignal.timeout(10_000));
}

export function start(): void {
	const live = new Live(
		(next) => {
			liveState.value = next;
		},
		(accepting) => {
			const known = status.peek();
			if (known && accepting !== null && accepting !== known.accepting) void pollStatus();
			if (isFollowing.peek()) refreshSoon();
		},
	);
	effect(() => {
		void queryKey.value;
		void topOrder.value;
		untracked(() => void refresh());
	});
	effect(() => {
		const follow = isFollowing.value;
		untracked(() => (follow ? live.start() : live.stop()));
	});
	document.addEventListener('visibilitychange', () => {
		if (document.visibilityState === 'visible' && (wanted || isFollowing.peek())) refreshSoon();
	});
	setInterval(() => {
		now.value = Date.now();
		if (isFollowing.peek() && Date.now() - lastStart > IDLE_MS) refreshSoon();
	}, 1_000);
	setInterval(() => void pollStatus(), STATUS_MS);
}
