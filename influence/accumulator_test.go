package influence

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"testing"
	"time"
)

// TestSumsStayOnDevice: sums over batches that are made on the device have the bits of those that the host makes, and come to it once.
func TestSumsStayOnDevice(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 3), normalized()
	near := newProblem(backend(t, 2), n, src, initial(n, 3), 0)
	near.Batch = 12 // 4 batches, the last one not full
	far, b := afar(near)
	v := [][]float64{randomVector(n.Size(), 1), randomVector(n.Size(), 2)}
	var results [2][][]float64
	for k, p := range []*Problem{near, far} {
		d := open(t, p)
		for _, curvature := range []string{GaussNewton, Hessian} {
			products := vectors(2, n.Size())
			if err := d.curvatureProducts(t.Context(), curvature, p.Train, v, products); err != nil {
				t.Fatal(err)
			}
			results[k] = append(results[k], products...)
		}
		gradient, err := d.meanGradient(t.Context(), p.Train)
		if err != nil {
			t.Fatal(err)
		}
		state, err := d.mean(t.Context(), "state gradient", d.stateGradientGraph, n.StateSize(), p.Train)
		if err != nil {
			t.Fatal(err)
		}
		results[k] = append(results[k], gradient, state)
	}
	if !reflect.DeepEqual(results[1], results[0]) {
		t.Errorf("sums on the device are %v, on the host %v", results[1], results[0])
	}
	for values, want := range map[int]int{2 * n.Size(): 2, n.Size(): 1, n.StateSize(): 1} {
		if c := b.Counts(values); c.Downloads != want {
			t.Errorf("vectors of %d values: %+v, want %d copies to the host", values, c, want)
		}
	}
}

// TestSumsOnDeviceCompileOnce: a solver asks for many products, which take no other programs than the first one.
func TestSumsOnDeviceCompileOnce(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 3), normalized()
	p, b := afar(newProblem(backend(t, 2), n, src, initial(n, 3), 0))
	d := open(t, p)
	var compiled []int
	for range 3 {
		if err := d.curvatureProducts(t.Context(), GaussNewton, p.Train, [][]float64{randomVector(n.Size(), 1)}, vectors(1, n.Size())); err != nil {
			t.Fatal(err)
		}
		compiled = append(compiled, b.Compiled())
	}
	if compiled[0] == 0 || compiled[2] != compiled[0] {
		t.Errorf("after each of three products %d programs are compiled", compiled)
	}
}

// TestSumsOnDeviceResume kills and cancels an estimation whose sums are on the device, at many moments, and goes on there or on the host.
func TestSumsOnDeviceResume(t *testing.T) {
	e := estimator(t, "cg", Options{HessianSamples: AllSamples, MaxIterations: 3, Damping: 0.01})
	near, src := resumedProblem(t, 2, moving(), 2)
	far, _ := afar(near)
	want := score(t, e, near)
	kept := &snapshots{src: src}
	far.Scratch, far.KeepEvery = kept, time.Nanosecond
	if s := score(t, e, far); !reflect.DeepEqual(s, want) {
		t.Fatalf("with a scratch other scores: %+v, want %+v", s, want)
	}
	for k := range 10 {
		at := kept.all[k*(len(kept.all)-1)/9]
		for _, p := range []*Problem{near, far} {
			p.Scratch, p.KeepEvery = &blobScratch{held: maps.Clone(at.held)}, time.Hour
			if s := score(t, e, p); !reflect.DeepEqual(s, want) {
				t.Errorf("killed after %d samples, continued on %T: other scores", at.read, p.Backend)
			}
		}
	}
	far.KeepEvery = time.Hour
	for _, last := range []int{100, 333, 500} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		src.last, src.cancel, src.read = last, cancel, 0
		scratch := &blobScratch{}
		far.Scratch = scratch
		if _, err := e.Score(ctx, far, nil); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled after %d samples: error %v", last, err)
		}
		if _, ok := scratch.held[passPiece]; !ok {
			t.Errorf("cancelled after %d samples: the pass is not kept", last)
		}
		src.last, src.cancel = 0, func() {}
		if s := score(t, e, far); !reflect.DeepEqual(s, want) {
			t.Errorf("cancelled after %d samples: other scores", last)
		}
	}
}
