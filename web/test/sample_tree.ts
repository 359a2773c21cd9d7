/* SPDX-License-Identifier: Apache-2.0 */
/* sample_tree.ts: trees that look like programs, the same for the same seed. */
import type { Frame, Node } from './slab_writer';

export type Random = () => number;

export function randomOf(seed: number): Random {
	let s = seed >>> 0;
	return () => {
		s = (s + 0x6d2b79f5) >>> 0;
		let t = Math.imul(s ^ (s >>> 15), s | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
	};
}

const USER = ['main', 'run_loop', 'handle_request', 'parse_header', 'json_parse', 'json_value', 'route_match', 'db_query', 'row_decode',
	'std::vector<Order>::push_back', 'std::_Hashtable<std::string, Session>::find', 'memcpy', 'malloc', '_int_malloc', 'free', 'compress_block',
	'deflate_fast', 'crc32_z', 'tls_encrypt', 'aes_gcm_enc', 'format_log', 'vsnprintf', 'session_lookup', 'cache_get', 'cache_evict',
	'regex_exec', 'utf8_decode', 'sort_rows', 'quicksort', 'write_all', 'send_response', 'poll_events'];
const KERNEL = ['entry_SYSCALL_64_after_hwframe', 'do_syscall_64', 'ksys_read', 'vfs_read', 'sock_sendmsg', 'tcp_sendmsg', 'tcp_write_xmit',
	'ip_queue_xmit', 'copy_user_enhanced_fast_string', 'asm_exc_page_fault', 'handle_mm_fault', 'clear_page_erms', 'ext4_file_read_iter'];
const JIT = ['LazyCompile:*render app.js:120', 'LazyCompile:~onMessage bus.js:33', 'Builtin:ArrayMap'];

function frameOf(pick: Random, depth: number, above: Frame): Frame {
	if (above.kind === 2) return { name: KERNEL[Math.floor(pick() * KERNEL.length)], module: '[kernel]', kind: 2 };
	const kind = depth > 3 && pick() < 0.12 ? 2 : pick() < 0.06 ? 7 : pick() < 0.06 ? 0x81 : 1;
	if (kind === 2) return { name: KERNEL[0], module: '[kernel]', kind };
	if (kind === 7) return { name: JIT[Math.floor(pick() * JIT.length)], module: '[jit]', kind };
	if (kind === 0x81) return { name: `libssl.so.3+0x${(0x1a000 + Math.floor(pick() * 40) * 64).toString(16)}`, module: '/usr/lib/libssl.so.3', kind };
	const name = depth === 2 ? 'main' : USER[1 + Math.floor(pick() * (USER.length - 1))];
	return { name, file: `src/${name.replace(/\W+/g, '_').slice(0, 12)}.c`, module: '/usr/local/bin/api', kind };
}

/* About `n` nodes below `services` first-level boxes. */
export function sampleNodes(n: number, seed: number, services: readonly string[]): Node[] {
	const pick = randomOf(seed);
	interface Open { frame: Frame; depth: number; budget: number; value: number }
	const ret: Node[] = [];
	const open: Open[] = [{ frame: { name: 'all', kind: 8 }, depth: 0, budget: n, value: n * 1e7 }];
	while (open.length > 0) {
		const { frame, depth, budget, value } = open.pop()!;
		const children: Open[] = [];
		const names = new Set<string>();
		let left = budget - 1;
		let rest = depth === 0 ? value : value * (0.8 + pick() * 0.2);
		const self = value - rest;
		const want = depth === 0 ? services.length : 1 + Math.floor(pick() ** 2 * 5);
		for (let i = 0; i < want && left > 0 && depth < 60; i++) {
			const child = depth === 0 ? { name: services[i], kind: 8 } : frameOf(pick, depth + 1, frame);
			if (names.has(child.name)) continue;
			names.add(child.name);
			const part = i === want - 1 ? 1 : 0.35 + pick() * 0.4;
			const childBudget = Math.max(1, Math.floor(left * part));
			children.push({ frame: child, depth: depth + 1, budget: childBudget, value: Math.floor(rest * part) });
			left -= childBudget;
			rest -= Math.floor(rest * part);
		}
		ret.push({ frame, depth, self: children.length > 0 ? self + rest : value });
		children.sort((a, b) => a.value - b.value);
		open.push(...children);
	}
	return ret;
}

/* Towers of equal, narrow boxes: the worst case for drawing. */
export function narrowTowers(towers: number, height: number): Node[] {
	const ret: Node[] = [{ frame: { name: 'all', kind: 8 }, depth: 0, self: 0 }];
	for (let i = 0; i < towers; i++)
		for (let d = 1; d <= height; d++)
			ret.push({ frame: { name: `f${(i * 31 + d) % 4000}` }, depth: d, self: d === height ? 1000 : 0 });
	return ret;
}
