// SPDX-License-Identifier: Apache-2.0

// stacks: goroutines that keep busy in all the places where Go's stacks are
// unlike others': C called from Go called from C, the thread's own stack,
// stacks that grow, the vDSO, signal handlers. Runs until it is killed; says
// "ready" when all have begun.
package main

// #include "in_c.h"
import "C"

import (
	"crypto/sha256"
	"fmt"
	"io"
	"runtime/pprof"
	"sort"
	"sync"
	"time"
)

var sink [16]int

//go:noinline
func spin(n int) (x int) {
	for i := 0; i < n; i++ {
		x = x*31 + i
	}
	return x
}

//go:noinline
func deep(n int) int {
	if n == 0 {
		return spin(2000)
	}
	return deep(n-1) + 1
}

//go:noinline
//export calledByC
func calledByC(n C.int) C.int { return C.int(spin(int(n))) }

//go:noinline
func callsC(n int) int { return int(C.calls_back(C.int(n))) }

//go:noinline
func spinsInC(n int) int { return int(C.spin(C.int(n))) }

//go:noinline
func growing(n int) int {
	var frame [256]byte
	if n == 0 {
		return spin(100)
	}
	frame[n%256] = byte(n)
	return growing(n-1) + int(frame[n%256])
}

//go:noinline
func garbage(n int) int {
	m := map[int][]byte{}
	for i := 0; i < n; i++ {
		m[i] = make([]byte, 1024+i)
	}
	return len(m)
}

//go:noinline
func panics(n int) (x int) {
	defer func() {
		if recover() != nil {
			x = spin(n)
		}
	}()
	panic(n)
}

//go:noinline
func clock(n int) int {
	start := time.Now()
	for i := 0; i < n; i++ {
		start = time.Now()
	}
	return start.Nanosecond()
}

//go:noinline
func sorts(n int) int {
	v := make([]int, n)
	for i := range v {
		v[i] = i * 7919 % n
	}
	sort.Slice(v, func(i, j int) bool { return v[i] < v[j] })
	return v[n/2]
}

//go:noinline
func hashes(n int) int {
	sum := sha256.Sum256(make([]byte, n))
	return int(sum[0])
}

func main() {
	jobs := []func() int{
		func() int { return deep(60) },
		func() int { return callsC(3000) },
		func() int { return spinsInC(3000) },
		func() int {
			done := make(chan int)
			go func() { done <- growing(400) }()
			return <-done
		},
		func() int { return garbage(200) },
		func() int { return panics(500) },
		func() int { return clock(100) },
		func() int { return sorts(500) },
		func() int { return hashes(100000) },
	}
	// Signal handlers, on stacks of their own.
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		panic(err)
	}
	var started sync.WaitGroup
	for i, job := range jobs {
		started.Add(1)
		go func(i int, job func() int) {
			sink[i] = job()
			started.Done()
			for {
				sink[i] = job()
			}
		}(i, job)
	}
	started.Wait()
	fmt.Println("ready")
	for {
		sink[15] = deep(5)
	}
}
