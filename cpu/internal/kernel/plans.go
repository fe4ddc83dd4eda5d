package kernel

// plans holds the partitions of recent convolutions, so that a training step plans nothing twice.
type plans struct {
	forward map[planKey]*forwardPlan
	weight  map[planKey]*weightPlan
}

type planKey struct {
	Conv
	level    Level
	winograd winogradMode
}

// mostPlans is the number of plans of a kind to keep.
const mostPlans = 4096

// cached returns the plan of c at the current level, made by plan the first time.
func cached[P any](p *Pool, m map[planKey]P, c *Conv, plan func() P) P {
	key := planKey{*c, CurrentLevel(), winogradMode(winograd.Load())}
	p.free.Lock()
	w, ok := m[key]
	p.free.Unlock()
	if ok {
		return w
	}
	w = plan()
	p.free.Lock()
	defer p.free.Unlock()
	if len(m) >= mostPlans {
		clear(m)
	}
	m[key] = w
	return w
}

// calls holds idle records of calls in progress.
type calls struct {
	forward []*forwardCall
	weight  []*weightCall
	gemm    []*gemmCall
}

func takeCall[C any](p *Pool, list *[]*C) *C {
	p.free.Lock()
	defer p.free.Unlock()
	if n := len(*list); n > 0 {
		c := (*list)[n-1]
		*list = (*list)[:n-1]
		return c
	}
	return new(C)
}

func giveCall[C any](p *Pool, list *[]*C, c *C) {
	p.free.Lock()
	defer p.free.Unlock()
	*list = append(*list, c)
}
