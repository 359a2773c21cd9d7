/* SPDX-License-Identifier: Apache-2.0 */
/* name.ts: what of a function's name is worth its place. */

/* Without the folders before the package or class: Go and JVM names are
 * mostly path, and their end is what tells them apart.
 * "github.com/a/b/grpc.(*Server).Serve" -> "grpc.(*Server).Serve" */
export function shortName(name: string): string {
	const head = /^[^\s(<[{:]*/.exec(name)![0];
	const slash = head.lastIndexOf('/');
	return slash >= 0 && slash < name.length - 1 ? name.slice(slash + 1) : name;
}
