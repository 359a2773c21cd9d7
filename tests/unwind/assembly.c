/* SPDX-License-Identifier: Apache-2.0 */
/* assembly leaf|frame|opaque SECONDS: functions without unwind information,
 * as hand-written assembly has it:
 *
 *   asm_leaf     touches no stack: its return address is on top
 *   asm_frame    keeps a frame pointer, and calls back into C
 *   asm_opaque   moves the stack pointer as it likes, and calls back */
#include "busy.h"

#include <string.h>

void asm_leaf(long steps);
void asm_frame(void (*f)(void));
void asm_opaque(void (*f)(void));

__asm__(".text\n"
	".globl asm_leaf\n.type asm_leaf, @function\n"
	"asm_leaf:\n"
	"1: imulq $7, %rax, %rax\n"
	"   subq $1, %rdi\n"
	"   jne 1b\n"
	"   ret\n"
	".size asm_leaf, . - asm_leaf\n"
	".globl asm_frame\n.type asm_frame, @function\n"
	"asm_frame:\n"
	"   pushq %rbp\n"
	"   movq %rsp, %rbp\n"
	"   subq $64, %rsp\n"
	"   callq *%rdi\n"
	"   leave\n"
	"   ret\n"
	".size asm_frame, . - asm_frame\n"
	".globl asm_opaque\n.type asm_opaque, @function\n"
	"asm_opaque:\n"
	"   pushq %rbp\n"
	"   movq $12345, %rbp\n"
	"   subq $80, %rsp\n"
	"   callq *%rdi\n"
	"   addq $80, %rsp\n"
	"   popq %rbp\n"
	"   ret\n"
	".size asm_opaque, . - asm_opaque\n"
	".section .note.GNU-stack, \"\", @progbits\n"
	".text\n");

static FUNCTION void called_back(void)
{
	busy(0.01);
}

static FUNCTION void calls_assembly(const char *which)
{
	if (strcmp(which, "leaf") == 0)
		asm_leaf(10000000);
	else if (strcmp(which, "frame") == 0)
		asm_frame(called_back);
	else
		asm_opaque(called_back);
}

int main(int argc, char **argv)
{
	begin(argc, argv, 2);
	while (!time_is_up())
		calls_assembly(argv[1]);
}
