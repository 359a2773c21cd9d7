// SPDX-License-Identifier: Apache-2.0

// names: functions of every kind that Go has a way of naming, and frames of
// all sizes. Tests read its binary; nobody runs it.
package main

import (
	"fmt"
	"os"
	"sort"
)

type number interface {
	~int | ~float64
}

type shape interface {
	Area() float64
}

type square struct{ side float64 }

func (s square) Area() float64 { return s.side * s.side }

type grown struct{ square }

func (g *grown) Grow(by float64) { g.side += by }

type list[T number] struct{ items []T }

func (l *list[T]) Add(v T) { l.items = append(l.items, v) }

//go:noinline
func sum[T number](values []T) (total T) {
	for _, v := range values {
		total += v
	}
	return total
}

// Two of a kind: the linker keeps one body for all pointers.
//
//go:noinline
func each[T any](values []T, f func(T)) {
	for _, v := range values {
		f(v)
	}
}

//go:noinline
func bigFrame(n int) (total int) {
	var pages [40000]byte
	for i := range pages {
		pages[i] = byte(i + n)
	}
	for _, p := range pages {
		total += int(p)
	}
	return total
}

//go:noinline
func leaf(a, b int) int { return a*b + 1 }

//go:noinline
func deferred(name string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %v", name, r)
		}
	}()
	if len(name) > 3 {
		panic("long")
	}
	return nil
}

func main() {
	g := &grown{square{2}}
	g.Grow(1)
	shapes := []shape{g, square{3}}
	sort.Slice(shapes, func(i, j int) bool { return shapes[i].Area() < shapes[j].Area() })
	ints := &list[int]{}
	ints.Add(leaf(2, len(os.Args)))
	each(shapes, func(s shape) { fmt.Println(s.Area()) })
	each(ints.items, func(i int) { fmt.Println(i) })
	fmt.Println(sum(ints.items), sum([]float64{1.5}), bigFrame(1), deferred("four"))
}
