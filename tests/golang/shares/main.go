// SPDX-License-Identifier: Apache-2.0

// shares SECONDS: goroutines that use CPU time in known shares: three parts
// in parse, one in render.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

//go:noinline
func mix(steps int) (x int) {
	for i := 0; i < steps; i++ {
		x = x*6364136223846793005 + i
	}
	return x
}

//go:noinline
func parse(steps int) int { return mix(3*steps) + 1 }

//go:noinline
func render(steps int) int { return mix(steps) + 2 }

//go:noinline
func serve(steps int) int { return parse(steps) ^ render(steps) }

func main() {
	seconds, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		panic(err)
	}
	end := time.Now().Add(time.Duration(seconds * 1e9))
	var all sync.WaitGroup
	for i := 0; i < 2; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			x := 0
			for time.Now().Before(end) {
				x ^= serve(20000)
			}
			fmt.Fprintln(os.Stderr, x)
		}()
	}
	all.Wait()
}
