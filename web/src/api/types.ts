/* SPDX-License-Identifier: Apache-2.0 */
/* types.ts: the answers of docs/http-api.md, field by field. */

export interface ApiProblem {
	detail: string;
	code: string;
	field?: string;
	limit?: number;
}

export interface Service {
	name: string;
	types: string[];
	total: Record<string, number>;
	last_ms: number;
}

export interface ProfileType {
	name: string;
	unit: string;
}

export interface Label {
	name: string;
	kind: 'series' | 'sample';
	values: string[];
	truncated: boolean;
}

export interface StackEnd {
	reason: string | null; /* value of the label stack_end; null: several, unknown to the server */
	text: string;
	value: number;
}

export interface Quality {
	samples: number;
	lost: Record<string, number>;
	lost_total: number;
	truncated: number;
	unnamed_share: number;
	unnamed_frames?: number; /* absent in what an older wick has written */
	sources: string[];
	unwind: string[];
	stack_ends: StackEnd[]; /* by falling value */
}

/* The `meta` column of a slab. What an exporter leaves out is absent. */
export interface TreeMeta {
	type: string;
	unit: string;
	total: number;
	nodes: number;
	pruned_nodes: number;
	from_ms?: number;
	to_ms?: number;
	profiles?: number;
	quality?: Quality;
	stats?: QueryStats;
	base_from_ms?: number; /* of a comparison by the server */
	base_to_ms?: number;
	diff?: { whole_a: number; whole_b: number; samples_a?: number | null; samples_b?: number | null }; /* of a comparison: what shares are of */
}

/* What an answer took, and whether it is exactly what was asked for. */
export interface QueryStats {
	blocks: number;
	damaged_blocks: number;
	damaged_pages: number;
	resolutions: string[];
	exact: boolean;
	seconds: number;
}

export interface Series {
	type: string;
	unit: string;
	from_ms: number;
	step_ms: number;
	values: (number | null)[];
	covered_ms: number[];
	capacity_cores: (number | null)[];
}

export interface TopFunction {
	name: string;
	file: string;
	line?: number; /* where lines stand apart */
	module: string;
	self: number;
	total: number;
}

export interface Top {
	type: string;
	unit: string;
	total: number;
	functions: TopFunction[];
}

export interface ChangedValue {
	a: number;
	b: number;
	share_a: number;
	share_b: number;
	delta: number;
	low?: number; /* these three where the samples of both sides are known */
	high?: number;
	significant?: boolean;
}

export interface ChangedFunction {
	name: string;
	file: string;
	line?: number;
	module: string;
	self: ChangedValue;
	total: ChangedValue;
}

export interface Diff {
	type: string;
	unit: string;
	total_a: number;
	total_b: number;
	samples_a: number | null; /* null: not known */
	samples_b: number | null;
	functions: ChangedFunction[];
}

export interface Heatmap {
	type: string;
	unit: string;
	from_ms: number;
	column_ms: number;
	rows: number;
	timed_share: number;
	columns: number[][];
}

/* One profile: its series labels, as far as they are set. */
export interface Exemplar {
	service: string;
	host?: string;
	container?: string;
	region?: string;
	zone?: string;
	type: string;
	from_ms: number;
	to_ms: number;
	value: number;
}

export interface Profiles {
	profiles: number;
	largest: Exemplar[];
}

export interface Status {
	version: string;
	accepting: boolean;
	reason: string | null;
	memory: { used: number; limit: number };
	disk: { used: number; limit: number };
	disk_free: number;
	disk_low: boolean;
	blocks: number;
	damaged_blocks: number;
	profiles: number;
	oldest_ms: number | null;
	newest_ms: number | null;
	hosts: { name: string; cpus: number; last_ms: number; source: string }[];
}

export type LiveEvent =
	| { event: 'hello'; seq: number }
	| { event: 'profiles'; seq: number; newest_ms: number; services: string[]; accepting: boolean };

/* What is looked at: the parameters shared by most questions. */
export interface Selection {
	service: string | null;
	type: string;
	labels: readonly (readonly [name: string, value: string])[];
	query: string; /* a selector; '' = none */
	filters: readonly (readonly [kind: string, text: string])[]; /* "focus" ...; not of /labels */
	lines: boolean; /* of tree and top alone */
	from: string;
	to: string;
}
