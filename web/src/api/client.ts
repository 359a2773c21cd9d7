/* SPDX-License-Identifier: Apache-2.0 */
/* client.ts: one function per GET of docs/http-api.md. Every failure is an
 * ApiError whose message is a sentence for the person at the page. */
import { Slab, slabRead } from './slab';
import type { ApiProblem, Diff, Heatmap, Label, Profiles, ProfileType, Selection, Series, Service, Status, Top } from './types';

export class ApiError extends Error {
	constructor(
		message: string,
		readonly status: number /* 0: no answer came */,
		readonly code: string,
		readonly field = '' /* the parameter that is wrong */,
	) {
		super(message);
	}
}

export const isAborted = (e: unknown): boolean => e instanceof DOMException && e.name === 'AbortError';

function selectionParams(s: Selection): URLSearchParams {
	const ret = new URLSearchParams();
	if (s.service !== null) ret.set('service', s.service);
	if (s.type) ret.set('type', s.type);
	for (const [name, value] of s.labels) ret.append('label', `${name}:${value}`);
	if (s.query) ret.set('query', s.query);
	ret.set('from', s.from);
	ret.set('to', s.to);
	return ret;
}

function filteredParams(s: Selection): URLSearchParams {
	const ret = selectionParams(s);
	for (const [kind, text] of s.filters) ret.append(kind, text);
	return ret;
}

function stackParams(s: Selection): URLSearchParams {
	const ret = filteredParams(s);
	if (s.lines) ret.set('lines', '1');
	return ret;
}

async function get(path: string, params: URLSearchParams | null, signal: AbortSignal | null): Promise<Response> {
	let response: Response;
	try {
		response = await fetch(`/api/v1/${path}${params ? `?${params}` : ''}`, { signal });
	} catch (e) {
		if (isAborted(e)) throw e;
		throw new ApiError('The server does not answer. Is wick-server running?', 0, 'unreachable');
	}
	if (response.ok) return response;
	const problem: Partial<ApiProblem> = await response.json().catch(() => ({}));
	throw new ApiError(problem.detail || `The server answered ${response.status} to /api/v1/${path}.`, response.status,
		problem.code ?? 'internal', problem.field);
}

async function getJson<T>(path: string, params: URLSearchParams | null, signal: AbortSignal | null): Promise<T> {
	const response = await get(path, params, signal);
	try {
		return (await response.json()) as T;
	} catch (e) {
		if (isAborted(e)) throw e;
		throw new ApiError(`The answer to /api/v1/${path} is not JSON.`, response.status, 'internal');
	}
}

export async function getServices(from: string, to: string, signal: AbortSignal): Promise<Service[]> {
	return (await getJson<{ services: Service[] }>('services', new URLSearchParams({ from, to }), signal)).services;
}

export async function getTypes(signal: AbortSignal): Promise<ProfileType[]> {
	return (await getJson<{ types: ProfileType[] }>('types', null, signal)).types;
}

export async function getLabels(selection: Selection, signal: AbortSignal): Promise<Label[]> {
	return (await getJson<{ labels: Label[] }>('labels', selectionParams(selection), signal)).labels;
}

export async function getTree(selection: Selection, by: string | null, signal: AbortSignal): Promise<Slab> {
	const params = stackParams(selection);
	params.set('format', 'slab');
	if (by) params.set('by', by);
	const response = await get('tree', params, signal);
	return slabRead(await response.arrayBuffer());
}

export function getSeries(selection: Selection, signal: AbortSignal): Promise<Series> {
	return getJson<Series>('series', filteredParams(selection), signal);
}

export function getTop(selection: Selection, order: 'self' | 'total', limit: number, signal: AbortSignal): Promise<Top> {
	const params = stackParams(selection);
	params.set('order', order);
	params.set('limit', String(limit));
	return getJson<Top>('top', params, signal);
}

/* A's range in ms. */
export interface BaseRange {
	from: number;
	to: number;
}

function diffParams(s: Selection, base: BaseRange): URLSearchParams {
	const params = stackParams(s);
	params.set('base_from', String(base.from));
	params.set('base_to', String(base.to));
	return params;
}

export async function getDiffTree(selection: Selection, base: BaseRange, by: string | null, signal: AbortSignal): Promise<Slab> {
	const params = diffParams(selection, base);
	params.set('format', 'slab');
	if (by) params.set('by', by);
	const response = await get('diff', params, signal);
	return slabRead(await response.arrayBuffer());
}

export function getDiff(selection: Selection, base: BaseRange, order: 'self' | 'total', limit: number, signal: AbortSignal): Promise<Diff> {
	const params = diffParams(selection, base);
	params.set('order', order);
	params.set('limit', String(limit));
	return getJson<Diff>('diff', params, signal);
}

export function getHeatmap(selection: Selection, columnMs: number, rows: number, signal: AbortSignal): Promise<Heatmap> {
	const params = filteredParams(selection);
	params.set('column', String(columnMs));
	params.set('rows', String(rows));
	return getJson<Heatmap>('heatmap', params, signal);
}

export function getProfiles(selection: Selection, limit: number, signal: AbortSignal): Promise<Profiles> {
	const params = filteredParams(selection);
	params.set('limit', String(limit));
	return getJson<Profiles>('profiles', params, signal);
}

export function getStatus(signal: AbortSignal): Promise<Status> {
	return getJson<Status>('status', null, signal);
}
