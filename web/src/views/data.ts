/* SPDX-License-Identifier: Apache-2.0 */
/* data.ts: what the server said last, and when to ask again.
 *
 *   selection changed  -> abort what runs, ask now
 *   live event         -> ask at most every REFRESH_MS, never two at once
 *   quiet while live   -> ask every IDLE_MS, so that "now" moves on
 *   tab hidden         -> wait until it is looked at
 *
 * Old answers stay on the page until new ones have come. The heat map and the
 * list of profiles are questions of their own, asked while they are looked at. */
import { batch, computed, effect, signal, untracked, type ReadonlySignal } from '@preact/signals';
import { ApiError, getDiff, getDiffTree, getHeatmap, getLabels, getProfiles, getSeries, getServices, getStatus, getTop, getTree, getTypes, isAborted,
	type BaseRange } from '../api/client';
import { Live, type LiveState } from '../api/live';
import type { Slab } from '../api/slab';
import type { Diff, Heatmap, Label, Profiles, ProfileType, Selection, Series, Service, Status, Top } from '../api/types';
import { baseMs } from '../logic/compare';
import { diffTree, hasDiff } from '../logic/diff';
import { exactPattern } from '../logic/filter';
import { heatColumn } from '../logic/heat';
import { selectorProblem, selectorQuery } from '../logic/selector';
import { rangeMs, rangeParams } from '../logic/time';
import { treeOf, type Tree } from '../logic/tree';
import { queryKey, state } from './store';

const REFRESH_MS = 2_000;
const IDLE_MS = 30_000;
const STATUS_MS = 10_000;
export const TOP_LIMIT = 1_000;
export const CHANGES_LIMIT = 300;
export const PROFILES_LIMIT = 20;

export const services = signal<Service[]>([]);
export const types = signal<ProfileType[]>([]);
const slab = signal<Slab | null>(null);
const width = computed(() => state.value.width);
export const tree = computed<Tree | null>(() => {
	const s = slab.value;
	return s && (hasDiff(s) ? diffTree(s, width.value) : treeOf(s));
});
export const series = signal<Series | null>(null);
export const top = signal<Top | null>(null);
export const diff = signal<Diff | null>(null);
export const status = signal<Status | null>(null);
export const problem = signal(''); /* of the last round of questions; '' = none */
export const selectorError = signal(''); /* why the server refused the selector */
export const isLoading = signal(false);
export const liveState = signal<LiveState>('off');
export const now = signal(Date.now());

let running: AbortController | null = null;
let wanted = false;
let lastStart = 0;
let refreshTimer = 0;

function selection(): Selection {
	const { service, type, labels, query, filters, range, lines } = state.peek();
	return { service, type, labels, query: selectorQuery(query), filters, lines, ...rangeParams(range) };
}

/* Both sides from the same "now". */
function compared(ask: Selection): { ask: Selection; base: BaseRange } | null {
	const { base, range } = state.peek();
	if (!base) return null;
	const b = rangeMs(range, Date.now());
	return { ask: { ...ask, from: String(b.from), to: String(b.to) }, base: baseMs(base, b) };
}

/* Sorting by name sorts what is there. */
const topOrder = computed(() => (state.value.sort === 'total' ? 'total' : 'self'));
const baseKey = computed(() => JSON.stringify(state.value.base));
const isFollowing = computed(() => state.value.live && state.value.range.kind === 'last');

/* `isRepeated`: the same questions again. */
async function refresh(isRepeated: boolean): Promise<void> {
	running?.abort();
	const control = new AbortController();
	running = control;
	lastStart = Date.now();
	wanted = false;
	isLoading.value = true;
	const { signal: s } = control;
	const ask = selection();
	if (isRepeated) {
		void heatQuestion.ask();
		void profilesQuestion.ask();
	}
	const keep = <T>(target: { value: T }) => (answer: T): void => {
		if (!s.aborted) target.value = answer;
	};
	const sides = compared(ask);
	const by = ask.service === null ? 'service' : null;
	const main = sides ? [
		getDiffTree(sides.ask, sides.base, by, s).then(keep<Slab | null>(slab)),
		getDiff(sides.ask, sides.base, topOrder.peek(), CHANGES_LIMIT, s).then(keep<Diff | null>(diff)),
	] : [
		getTree(ask, by, s).then(keep<Slab | null>(slab)),
		getTop(ask, topOrder.peek(), TOP_LIMIT, s).then(keep<Top | null>(top)),
	];
	const results = await Promise.allSettled([
		...main,
		getSeries(ask, s).then(keep<Series | null>(series)),
		getServices(ask.from, ask.to, s).then(keep(services)),
		getTypes(s).then(keep(types)),
		getStatus(s).then(keep<Status | null>(status)),
	]);
	if (s.aborted) return;
	running = null;
	const failed = results.find((r) => r.status === 'rejected' && !isAborted(r.reason)) as PromiseRejectedResult | undefined;
	const reason = failed?.reason as Error | undefined;
	const isSelector = reason instanceof ApiError && reason.field === 'query';
	batch(() => {
		isLoading.value = false;
		selectorError.value = isSelector ? selectorProblem(state.peek().query, reason.message) : '';
		problem.value = reason && !isSelector ? String(reason.message) : '';
	});
	if (wanted) refreshSoon();
}

/* Coalesces: one round per REFRESH_MS, and none on top of a running one. */
function refreshSoon(): void {
	wanted = true;
	/* What was refused would be again. */
	if (selectorError.peek() || refreshTimer || running || document.visibilityState === 'hidden') return;
	refreshTimer = window.setTimeout(() => {
		refreshTimer = 0;
		if (wanted && !running && document.visibilityState === 'visible') void refresh(true);
	}, Math.max(0, lastStart + REFRESH_MS - Date.now()));
}

async function pollStatus(): Promise<void> {
	if (running || document.visibilityState === 'hidden') return;
	try {
		status.value = await getStatus(AbortSignal.timeout(STATUS_MS));
		if (selectorError.peek()) problem.value = '';
		else if (slab.peek() === null || problem.peek()) refreshSoon();
	} catch (e) {
		if (!isAborted(e)) problem.value = (e as Error).message;
	}
}

/* ---- what is asked for only while it is looked at ---- */

export interface Answer<T> {
	data: T | null;
	error: string;
}

class SideQuestion<T> {
	readonly answer = signal<Answer<T>>({ data: null, error: '' });
	private control: AbortController | null = null;

	/* `key` '' = nobody looks. */
	constructor(
		private readonly key: ReadonlySignal<string>,
		private readonly question: (signal: AbortSignal) => Promise<T>,
	) {}

	start(): void {
		effect(() => {
			void this.key.value;
			untracked(() => void this.ask());
		});
	}

	async ask(): Promise<void> {
		this.control?.abort();
		this.control = null;
		if (!this.key.peek()) return;
		const control = new AbortController();
		this.control = control;
		const keep = (answer: Answer<T>): void => {
			if (!control.signal.aborted) this.answer.value = answer;
		};
		await this.question(control.signal).then(
			(data) => keep({ data, error: '' }),
			(e: Error) => keep({ data: null, error: e instanceof ApiError && e.field === 'query' ? 'The selector is not understood.' : e.message }),
		);
	}
}

const heatKey = computed(() => (state.value.chart === 'heat' ? `${queryKey.value}${state.value.column}` : ''));
const heatQuestion = new SideQuestion<Heatmap>(heatKey, (s) => {
	const { range, column } = state.peek();
	const ms = rangeMs(range, Date.now());
	const { seconds, rows } = heatColumn(ms.to - ms.from, column);
	return getHeatmap(selection(), seconds * 1000, rows, s);
});
export const heat = heatQuestion.answer;

/* Of a selected function: where most of it is. */
const profilesKey = computed(() => (state.value.list === 'profiles' ? `${queryKey.value}${state.value.fn}` : ''));
const profilesQuestion = new SideQuestion<Profiles>(profilesKey, (s) => {
	const ask = selection();
	const { fn } = state.peek();
	return getProfiles(fn ? { ...ask, filters: [...ask.filters, ['focus', exactPattern(fn)]] } : ask, PROFILES_LIMIT, s);
});
export const profiles = profilesQuestion.answer;

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
		void baseKey.value;
		untracked(() => void refresh(false));
	});
	heatQuestion.start();
	profilesQuestion.start();
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
