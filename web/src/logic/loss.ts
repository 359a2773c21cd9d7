/* SPDX-License-Identifier: Apache-2.0 */
/* loss.ts: samples that are not there, and those without a whole stack. */
import rows from '../../../src/model/loss.def';

export interface Loss {
	n: number;
	text: string;
}

const TEXTS = new Map(rows.map(([name, isMissing, text]) => [name, { isMissing, text: text.replace(/^lost: /, '') }]));

/* By falling number. A reason that a newer agent gives counts as missing, its
 * name standing for the words. */
function lossesOf(lost: Record<string, number>, isMissing: boolean): Loss[] {
	return Object.entries(lost)
		.filter(([name, n]) => n > 0 && (TEXTS.get(name)?.isMissing !== 0) === isMissing)
		.map(([name, n]) => ({ n, text: TEXTS.get(name)?.text ?? name }))
		.sort((a, b) => b.n - a.n);
}

export const missingOf = (lost: Record<string, number>): Loss[] => lossesOf(lost, true);
export const cutOf = (lost: Record<string, number>): Loss[] => lossesOf(lost, false);
