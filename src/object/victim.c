/* SPDX-License-Identifier: Apache-2.0 */
/* victim.c: a small program with every kind of symbol that symtab.h ranks.
 * symtab_test.c reads it, in several linkings and strippings; nobody runs it. */
#include <stdio.h>

int victim_global(int x);
int victim_weak(int x);
int __victim_alias(int x);
int victim_indirect(int x);
void victim_assembly(void);
void victim_label(void);

__attribute__((noinline)) static int victim_local(int x)
{
	return x * 3;
}

__attribute__((noinline)) int victim_global(int x)
{
	return victim_local(x) + 1;
}

__attribute__((noinline, weak)) int victim_weak(int x)
{
	return victim_global(x) - 7;
}

/* One function, two global names: the one without underscores is wanted. */
int __victim_alias(int x) __attribute__((alias("victim_global")));

__attribute__((used)) static int (*resolve(void))(int)
{
	return victim_local;
}

int victim_indirect(int x) __attribute__((ifunc("resolve")));

/* A function of size 0, as hand-written assembly has them, and a label of no
 * type behind it. */
__asm__(".text\n"
	".globl victim_assembly\n"
	".type victim_assembly, %function\n"
	"victim_assembly: nop\n nop\n nop\n nop\n"
	".globl victim_label\n"
	"victim_label: nop\n nop\n nop\n nop\n"
	".globl victim_end\n"
	".type victim_end, %function\n"
	"victim_end: nop\n"
	".size victim_end, . - victim_end\n");

int main(void)
{
	victim_assembly();
	victim_label();
	printf("%d %d %d %d\n", victim_global(1), victim_weak(2), __victim_alias(3), victim_indirect(4));
	return 0;
}
