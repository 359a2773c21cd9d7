/* SPDX-License-Identifier: Apache-2.0 */
/* Style sheets are imported for their effect; esbuild collects them. */
declare module '*.css';
