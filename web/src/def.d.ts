/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of words that the C code has as X-macros; build.mjs turns each row
 * into the array of its arguments. */
declare module '*/found.def' {
	const rows: readonly (readonly [id: string, name: string, text: string])[];
	export default rows;
}
declare module '*/loss.def' {
	const rows: readonly (readonly [name: string, isMissing: 0 | 1, text: string])[];
	export default rows;
}
declare module '*/stack_end.def' {
	const rows: readonly (readonly [id: string, name: string, text: string])[];
	export default rows;
}
