package kernel

import "fmt"

// Gemm describes a batch of matrix products
//
//	C[b, m, n] (+)= sum over k of A[b, m, k] * B[b, k, n]
//
// Element (b, m, k) of A is at b*ABatch + m*ARow + k*ACol, and so on: any strides for A and B, so that a
// transposed operand is a matter of strides; columns of C are contiguous. The fastest layouts are B with
// BCol = 1, and A with one of its strides 1. A zero Batch means 1.
type Gemm struct {
	Batch, M, N, K     int
	ARow, ACol, ABatch int
	BRow, BCol, BBatch int
	CRow, CBatch       int
	Add                bool // add to C instead of overwriting it
}

// Sizes that steer the partition of a matrix product; they depend on nothing but shapes.
const (
	gemmK       = 512 // most of the inner dimension in one pass
	gemmM       = 252 // rows of a task, about
	gemmN       = 256 // columns of a task, about
	splitK      = 1024
	splitGroups = 16
)

// Run computes the product. It panics when a slice is too short.
func (g *Gemm) Run(p *Pool, a, b, c []float32) {
	d := *g
	if d.Batch == 0 {
		d.Batch = 1
	}
	if d.M < 0 || d.N < 0 || d.K < 0 || d.Batch < 0 {
		panic(fmt.Sprintf("kernel: negative size in %+v", *g))
	}
	if d.M*d.N*d.Batch == 0 {
		return
	}
	reach := func(name string, x []float32, n ...int) {
		need := 1
		for i := 0; i < len(n); i += 2 {
			if n[i+1] < 0 {
				panic(fmt.Sprintf("kernel: negative stride in %+v", *g))
			}
			need += (n[i] - 1) * n[i+1]
		}
		if len(x) < need {
			panic(fmt.Sprintf("kernel: %s has %d floats, needs %d", name, len(x), need))
		}
	}
	reach("C", c, d.Batch, d.CBatch, d.M, d.CRow, d.N, 1)
	if d.K > 0 {
		reach("A", a, d.Batch, d.ABatch, d.M, d.ARow, d.K, d.ACol)
		reach("B", b, d.Batch, d.BBatch, d.K, d.BRow, d.N, d.BCol)
	}
	if d.dots(p, a, b, c) {
		return
	}
	call := takeCall(p, &p.calls.gemm)
	defer giveCall(p, &p.calls.gemm, call)
	if call.fns == nil {
		call.fns = []func(int, *scratch){call.pack, call.task, call.reduce}
	}
	call.plan = d.plan()
	call.run(p, a, b, c)
}

// gemmPlan is the partition of a matrix product.
type gemmPlan struct {
	Gemm
	set            *tileSet
	mEach, nEach   int // rows and columns of a task; columns are whole vectors
	mTasks, nTasks int
	groups         int  // parts of K that are summed at the end
	kEach          int  // of a group
	packed         bool // B is packed once for all tasks
	packB          bool // B is packed by each task
	copyA          int  // 0: A as it is; 1: rows copied; 2: columns copied
}

func (g *Gemm) plan() gemmPlan {
	d := gemmPlan{Gemm: *g, set: tiles(), groups: 1, kEach: g.K}
	split := func(n, each int) (tasks, size int) {
		tasks = max(1, (n+each/2)/each)
		size = (n + tasks - 1) / tasks
		return (n + size - 1) / size, size
	}
	vectors := (g.N + lanes - 1) / lanes
	d.mTasks, d.mEach = split(g.M, gemmM)
	n, each := split(vectors, gemmN/lanes)
	d.nTasks, d.nEach = n, each*lanes
	// Few tasks: split K first (both operands are then read once), then the columns, then the rows.
	if d.Batch*d.mTasks*d.nTasks < splitGroups && g.K >= 2*splitK {
		d.groups = min(splitGroups, g.K/(splitK/2))
		d.kEach = (g.K + d.groups - 1) / d.groups
		d.groups = (g.K + d.kEach - 1) / d.kEach
	}
	for d.Batch*d.mTasks*d.nTasks*d.groups < splitGroups && float64(g.K)*float64(d.mEach)*float64(d.nEach) > 1<<18 {
		switch {
		case d.nEach >= 4*lanes && d.nEach >= d.mEach:
			d.nTasks, d.nEach = split(vectors, (d.nEach/lanes+1)/2)
			d.nEach *= lanes
		case d.mEach >= 28:
			d.mTasks, d.mEach = split(g.M, (d.mEach+1)/2)
		default:
			d.layouts()
			return d
		}
	}
	d.layouts()
	return d
}

// layouts decides what to copy.
func (d *gemmPlan) layouts() {
	rows := d.set.maxRows[min(2, d.set.maxVectors())]
	switch {
	case d.BCol == 1 && d.M <= 2*rows:
		// B is read once or twice: as it is.
	case d.mTasks > 1:
		d.packed = true
	default:
		d.packB = true
	}
	if d.N > 2*lanes {
		switch {
		case d.ACol == 1 && d.ARow%1024 == 0 && d.M > 1:
			d.copyA = 1
		case d.ARow == 1 && d.ACol >= 1024:
			d.copyA = 2
		}
	}
}

// gemmCall is one Gemm.Run in progress.
type gemmCall struct {
	plan            gemmPlan
	a, b, c         []float32
	packed, partial []float32
	size            int // of one packed B
	each            int // floats of a group's partial result
	fns             []func(int, *scratch)
}

func (r *gemmCall) run(p *Pool, a, b, c []float32) {
	d := &r.plan
	r.a, r.b, r.c = a, b, c
	r.size = d.K * ((d.N + lanes - 1) / lanes * lanes)
	r.each = d.Batch * d.M * d.N
	if d.packed {
		r.packed = p.take(d.Batch * r.size)
		defer p.give(r.packed)
		p.run(d.Batch*d.nTasks, r.fns[0])
	}
	if d.groups > 1 {
		r.partial = p.take(d.groups * r.each)
		defer p.give(r.partial)
	}
	p.run(d.groups*d.Batch*d.mTasks*d.nTasks, r.fns[1])
	if d.groups > 1 {
		p.run((d.Batch*d.M+gemmReduceRows-1)/gemmReduceRows, r.fns[2])
	}
	r.a, r.b, r.c, r.packed, r.partial = nil, nil, nil, nil, nil
}

// pack packs the columns of one task: panels follow each other, each K rows deep.
func (r *gemmCall) pack(task int, _ *scratch) {
	d := &r.plan
	i, n0 := task/d.nTasks, task%d.nTasks*d.nEach
	d.packColumns(r.packed[i*r.size+n0*d.K:], r.b[min(len(r.b), i*d.BBatch):], 0, d.K, n0, min(n0+d.nEach, d.N))
}

func (r *gemmCall) task(task int, s *scratch) {
	d := &r.plan
	n := task % d.nTasks
	task /= d.nTasks
	m := task % d.mTasks
	task /= d.mTasks
	i, g := task%d.Batch, task/d.Batch
	w := gemmTask{
		m0: m * d.mEach, m1: min((m+1)*d.mEach, d.M), n0: n * d.nEach, n1: min((n+1)*d.nEach, d.N),
		k0: g * d.kEach, k1: min((g+1)*d.kEach, d.K), add: d.Add,
		a: r.a[min(len(r.a), i*d.ABatch):], b: r.b[min(len(r.b), i*d.BBatch):], c: r.c[i*d.CBatch:], cRow: d.CRow,
	}
	if d.packed {
		w.b = r.packed[i*r.size:]
	}
	if d.groups > 1 {
		w.c, w.cRow, w.add = r.partial[g*r.each+i*d.M*d.N:], d.N, false
	}
	d.task(&w, s)
}

// packColumns packs B[k0:k1, n0:n1] into panels, each k1-k0 rows deep.
func (d *gemmPlan) packColumns(dst, b []float32, k0, k1, n0, n1 int) {
	left := (n1 - n0 + lanes - 1) / lanes
	for n := n0; left > 0; {
		v := d.set.panelVectors(left, d.mEach)
		width := v * lanes
		pack(dst, width, b, k0*d.BRow+n*d.BCol, d.BRow, d.BCol, k1-k0, min(width, n1-n), true)
		dst = dst[(k1-k0)*width:]
		n += width
		left -= v
	}
}

// gemmTask is a block of C and a part of K.
type gemmTask struct {
	m0, m1, n0, n1, k0, k1 int
	a, b, c                []float32
	cRow                   int
	add                    bool
}

func (d *gemmPlan) task(w *gemmTask, s *scratch) {
	t := &s.tile
	s.aOff, s.bOff = append(s.aOff[:0], 0), append(s.bOff[:0], 0)
	t.aOff, t.bOff = s.aOff, s.bOff
	t.cRow = w.cRow
	m := w.m1 - w.m0
	passes := max(1, (w.k1-w.k0+gemmK-1)/gemmK)
	kEach := (w.k1 - w.k0 + passes - 1) / passes
	for k0 := w.k0; k0 == w.k0 || k0 < w.k1; k0 += max(1, kEach) {
		k1 := min(k0+kEach, w.k1)
		k := k1 - k0
		t.runLen = k
		t.add = 1
		if k0 == w.k0 && !w.add {
			t.add = 0
		}
		a := w.a
		at := 0
		t.aRow, t.aCol = d.ARow, d.ACol
		switch {
		case k == 0:
		case d.copyA == 1:
			t.aRow = k + lanes
			a = s.buffer(0, m*t.aRow)
			for i := range m {
				copy(a[i*t.aRow:][:k], w.a[(w.m0+i)*d.ARow+k0:])
			}
		case d.copyA == 2:
			t.aCol = m + lanes
			a = s.buffer(0, k*t.aCol)
			for i := range k {
				copy(a[i*t.aCol:][:m], w.a[(k0+i)*d.ACol+w.m0:])
			}
		default:
			at = w.m0*d.ARow + k0*d.ACol
		}
		a = a[at:]
		b := w.b
		switch {
		case d.packed:
			b = b[w.n0*d.K:]
		case d.packB:
			b = s.buffer(1, k*((w.n1-w.n0+lanes-1)/lanes)*lanes)
			d.packColumns(b, w.b, k0, k1, w.n0, w.n1)
		case k > 0:
			b = b[k0*d.BRow+w.n0:]
		}
		left := (w.n1 - w.n0 + lanes - 1) / lanes
		for n := w.n0; left > 0; {
			v := d.set.panelVectors(left, d.mEach)
			width := v * lanes
			switch {
			case d.packed:
				t.bRow, t.b = width, b[k0*width:]
				b = b[d.K*width:]
			case d.packB:
				t.bRow, t.b = width, b
				b = b[k*width:]
			default:
				t.bRow = d.BRow
				t.b = b[min(len(b), n-w.n0):]
			}
			t.lanes = min(lanes, w.n1-n-(v-1)*lanes)
			t.a, t.c = a, w.c[w.m0*w.cRow+n:]
			d.set.runRows(t, m, v)
			n += width
			left -= v
		}
	}
}

// gemmReduceRows is the number of rows that a task of the last sum takes.
const gemmReduceRows = 8

// reduce adds the groups in their order into a block of rows of C.
func (r *gemmCall) reduce(task int, _ *scratch) {
	d := &r.plan
	for row := task * gemmReduceRows; row < min(d.Batch*d.M, (task+1)*gemmReduceRows); row++ {
		sum := r.partial[row*d.N:][:d.N]
		for g := 1; g < d.groups; g++ {
			Binary(Add, sum, sum, r.partial[g*r.each+row*d.N:][:d.N])
		}
		dst := r.c[row/d.M*d.CBatch+row%d.M*d.CRow:][:d.N]
		if d.Add {
			Binary(Add, dst, dst, sum)
		} else {
			copy(dst, sum)
		}
	}
}
