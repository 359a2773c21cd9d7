// SPDX-License-Identifier: Apache-2.0

// shared: a library of C and Go functions. Tests read it; nobody loads it.
package main

// #include "in_c.h"
import "C"

//go:noinline
func inGo(x int) int { return x + int(C.hidden_in_c(C.int(x))) }

//export Exported
func Exported(x int) int { return inGo(x) }

func main() {}
