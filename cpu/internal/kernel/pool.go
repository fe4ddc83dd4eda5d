package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool is a fixed set of worker goroutines that the drivers of this package spread their tasks over.
//
// The caller of Run takes part, so a pool of one thread has no goroutines. A Run inside a task, or beside
// another Run of the same pool, executes its tasks on the calling goroutine: nothing ever waits for a
// worker that waits for it. Tasks are handed out in order to whoever is free; every driver of this package
// partitions its work by shape alone and lets each task write its own part, so results are the same bits
// for any number of threads.
type Pool struct {
	threads int
	busy    sync.Mutex // held by the Run that uses the workers
	wake    []chan struct{}
	job     job
	closed  bool

	free struct {
		sync.Mutex
		scratch []*scratch
		buffers map[int][][]float32 // by capacity
	}
	plans plans // guarded by free
	calls calls // guarded by free
}

// job is the Run in progress.
type job struct {
	fn          func(task, worker int)
	withScratch func(task int, s *scratch) // in place of fn
	tasks       int64
	next        atomic.Int64
	pending     sync.WaitGroup
	spin        atomic.Int64 // workers that haven't finished

	mu       sync.Mutex
	panicked any
}

// NewPool starts a pool of the given number of threads, the caller's included; below 1 it takes
// runtime.GOMAXPROCS(0). Close stops its goroutines.
func NewPool(threads int) *Pool {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads, wake: make([]chan struct{}, threads-1)}
	p.free.buffers = make(map[int][][]float32)
	p.plans = plans{forward: make(map[planKey]*forwardPlan), weight: make(map[planKey]*weightPlan)}
	for i := range p.wake {
		p.wake[i] = make(chan struct{}, 1)
		go p.work(i+1, p.wake[i])
	}
	return p
}

// Threads returns the number of threads.
func (p *Pool) Threads() int { return p.threads }

// Close stops the workers once the current Run is over. A closed pool still runs tasks, on the caller.
func (p *Pool) Close() {
	p.busy.Lock()
	defer p.busy.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	for _, w := range p.wake {
		close(w)
	}
}

// Run calls fn for each task in [0, tasks) and returns when all are done. worker is in [0, Threads()) and
// differs between calls of one Run that overlap. A panic in a task reaches the caller of Run once the
// other workers have stopped.
func (p *Pool) Run(tasks int, fn func(task, worker int)) {
	if !p.start(tasks, fn, nil) {
		for i := range tasks {
			fn(i, 0)
		}
	}
}

// run is Run with a scratch arena for each participant instead of its number.
func (p *Pool) run(tasks int, fn func(task int, s *scratch)) {
	if !p.start(tasks, nil, fn) && tasks > 0 {
		s := p.scratch()
		defer p.giveScratch(s)
		for i := range tasks {
			fn(i, s)
		}
	}
}

// start runs the tasks on the workers and the caller, or returns false when the caller should do it alone.
func (p *Pool) start(tasks int, fn func(task, worker int), withScratch func(task int, s *scratch)) bool {
	if tasks <= 1 || p.threads == 1 || !p.busy.TryLock() {
		return false
	}
	defer p.busy.Unlock()
	if p.closed {
		return false
	}
	j := &p.job
	j.fn, j.withScratch, j.tasks, j.panicked = fn, withScratch, int64(tasks), nil
	j.next.Store(0)
	helpers := min(len(p.wake), tasks-1)
	j.spin.Store(int64(helpers))
	j.pending.Add(helpers)
	for _, w := range p.wake[:helpers] {
		w <- struct{}{}
	}
	j.drain(p, 0)
	for range 2000 { // the others end soon: most often sooner than a sleep and a wake-up take
		if j.spin.Load() == 0 {
			break
		}
	}
	j.pending.Wait()
	j.fn, j.withScratch = nil, nil
	if j.panicked != nil {
		panic(j.panicked)
	}
	return true
}

func (p *Pool) work(worker int, wake chan struct{}) {
	for range wake {
		p.job.drain(p, worker)
		p.job.spin.Add(-1)
		p.job.pending.Done()
	}
}

// drain executes tasks until none is left.
func (j *job) drain(p *Pool, worker int) {
	defer func() {
		if r := recover(); r != nil {
			j.mu.Lock()
			j.panicked = r
			j.mu.Unlock()
			j.next.Store(j.tasks)
		}
	}()
	var s *scratch
	if j.withScratch != nil {
		s = p.scratch()
		defer p.giveScratch(s)
	}
	for {
		i := j.next.Add(1) - 1
		if i >= j.tasks {
			return
		}
		if s != nil {
			j.withScratch(int(i), s)
		} else {
			j.fn(int(i), worker)
		}
	}
}
