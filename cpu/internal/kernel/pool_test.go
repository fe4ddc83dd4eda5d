package kernel

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestPool(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		p := NewPool(threads)
		for _, tasks := range []int{0, 1, 2, 7, 1000} {
			done := make([]atomic.Int32, tasks)
			using := make([]atomic.Int32, p.Threads())
			p.Run(tasks, func(task, worker int) {
				if using[worker].Add(1) != 1 {
					t.Errorf("worker %d used twice at once", worker)
				}
				done[task].Add(1)
				using[worker].Add(-1)
			})
			for i := range done {
				if done[i].Load() != 1 {
					t.Errorf("%d threads: task %d of %d ran %d times", threads, i, tasks, done[i].Load())
				}
			}
		}
		p.Close()
		p.Close()
		var n atomic.Int32
		p.Run(3, func(int, int) { n.Add(1) })
		if n.Load() != 3 {
			t.Errorf("closed pool ran %d tasks of 3", n.Load())
		}
	}
}

// TestPoolNested runs pools inside pools from several goroutines.
func TestPoolNested(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				p.run(3, func(_ int, a *scratch) {
					x := a.buffer(0, 8)
					p.run(4, func(_ int, b *scratch) {
						b.buffer(0, 8)[0] = 1
						n.Add(1)
					})
					x[0] = 2
				})
			}
		})
	}
	wg.Wait()
	if want := int64(4 * 50 * 3 * 4); n.Load() != want {
		t.Errorf("%d inner tasks ran, want %d", n.Load(), want)
	}
}

func TestPoolPanic(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	for range 3 {
		func() {
			defer func() {
				if r := recover(); r != "boom" {
					t.Errorf("recovered %v", r)
				}
			}()
			p.Run(10, func(task, _ int) {
				if task == 4 {
					panic("boom")
				}
			})
		}()
	}
	var n atomic.Int32
	p.Run(10, func(int, int) { n.Add(1) })
	if n.Load() != 10 {
		t.Errorf("%d tasks after a panic, want 10", n.Load())
	}
}
