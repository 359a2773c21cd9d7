/* SPDX-License-Identifier: Apache-2.0 */
/* stack_end.ts: stacks that do not reach the start of their thread: why, and
 * how much of what is shown they are. The words are those of stack_end.def. */
import rows from '../../../bpf/stack_end.def';
import type { Quality } from '../api/types';
import type { PageState } from './url';

export const STACK_END_LABEL = 'stack_end';

const TEXTS = new Map(rows.map(([, name, text]) => [name, text]));

/* What an agent puts at the root of such a stack. */
const INCOMPLETE = /^\[incomplete: (\w+)\]$/;

/* What the frame "[incomplete: jit]" stands for; '' of any other. */
export function incompleteText(name: string, kind: string): string {
	const reason = kind === 'synthetic' ? INCOMPLETE.exec(name)?.[1] : undefined;
	if (reason === undefined) return '';
	return `Callers are missing from here on: ${TEXTS.get(reason) ?? reason}`;
}

/* Part of the whole whose stacks are incomplete; 0 where nothing is shown. */
export function incompleteShare(q: Quality, total: number): number {
	const sum = q.stack_ends.reduce((v, e) => v + e.value, 0);
	return total > 0 ? sum / total : 0;
}

/* The page with only the stacks that ended for this reason. */
export function stateOfEnd(s: PageState, reason: string): PageState {
	return { ...s, labels: [...s.labels.filter(([name]) => name !== STACK_END_LABEL), [STACK_END_LABEL, reason]], zoom: [] };
}
