package datadropout

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/datadropout/datadropout/cpu"
)

// nearest against sorting all distances.
func TestNearestFindsTheNearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n, width = 200, 7
	rows := make([]float32, n*width)
	for k := range rows {
		rows[k] = float32(rng.IntN(4)) // few values, so there are ties
	}
	idx := make([]int, n)
	for k := range idx {
		idx[k] = 1000 + k
	}
	f := newFeatures(rows, width, idx)
	for k := range n {
		even := func(p int) bool { return p%2 == 0 && p != idx[k] }
		got := f.nearest(f.row(k), 10, even)
		var all []Neighbor
		for j, p := range idx {
			if even(p) {
				all = append(all, Neighbor{p, math.Sqrt(squaredDistance(f.row(j), f.row(k)))})
			}
		}
		slices.SortStableFunc(all, func(a, b Neighbor) int {
			switch {
			case a.Distance < b.Distance:
				return -1
			case a.Distance > b.Distance:
				return 1
			}
			return 0
		})
		if !slices.Equal(got, all[:10]) {
			t.Fatalf("row %d: %v, want %v", k, got, all[:10])
		}
	}
	if got := f.nearest(f.row(0), 10, func(p int) bool { return p < 1003 }); len(got) != 3 {
		t.Errorf("%d neighbors among 3", len(got))
	}
}

func TestSpread(t *testing.T) {
	if got := spread([]int{3, 5, 7, 9, 11, 13}, 3); !slices.Equal(got, []int{3, 7, 11}) {
		t.Errorf("3 of 6: %v", got)
	}
	if got := spread([]int{3, 5}, 3); !slices.Equal(got, []int{3, 5}) {
		t.Errorf("3 of 2: %v", got)
	}
}

// A copy of a picture with another label is found, with its copies and near copies, and every neighbor is a training sample
// other than itself.
func TestExamineFindsCopies(t *testing.T) {
	c := DefaultConfig()
	c.Train, c.Score, c.Tune, c.Test, c.LabelNoise = 300, 100, 100, 100, 0
	c.Net, c.Recipe.Epochs, c.Seeds, c.Rule = "mlp", 6, 1, "count:20"
	d, err := LoadData(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	// Several copies of one picture, the first with its own label: the others are the worst that can be.
	images, at := d.Images, d.Split.Train
	for k := 1; k < 4; k++ {
		copy(images.Pixels(at[k]), images.Pixels(at[0]))
		images.Labels[at[k]] = (images.Labels[at[0]] + k) % len(images.Classes)
	}
	images.Pixels(at[3])[0] ^= 2
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	o, err := Run(context.Background(), c, d, backend, NewMemoryStore(), nil)
	if err != nil {
		t.Fatal(err)
	}
	x := o.Examined
	if len(x.Harmful) != shownSamples || len(x.Samples) != shownSamples || len(x.Helpful) != shownSamples {
		t.Fatalf("%d harmful, %d examined, %d helpful", len(x.Harmful), len(x.Samples), len(x.Helpful))
	}
	found := 0
	for k, e := range x.Samples {
		own := at[x.Harmful[k]]
		if len(e.Neighbors) != nearestNeighbors {
			t.Errorf("sample %d has %d neighbors", own, len(e.Neighbors))
		}
		for _, list := range [][]Neighbor{e.Neighbors, e.ClassNeighbors} {
			for _, n := range list {
				if n.Position == own || !slices.Contains(at, n.Position) || n.Distance < 0 || n.Distance > 2.0001 {
					t.Errorf("sample %d has the neighbor %+v", own, n)
				}
			}
		}
		for _, n := range e.ClassNeighbors {
			if images.Labels[n.Position] != images.Labels[own] {
				t.Errorf("sample %d has the class neighbor %d of another class", own, n.Position)
			}
		}
		if k < mostProducts && len(e.Hurts) == 0 || k >= mostProducts && len(e.Hurts) > 0 {
			t.Errorf("harmful sample %d hurts %d score samples", k, len(e.Hurts))
		}
		for _, h := range e.Hurts {
			if h.Product >= 0 || !slices.Contains(d.Split.Score, h.Position) {
				t.Errorf("sample %d hurts %+v", own, h)
			}
		}
		switch place := x.Harmful[k]; place {
		case 1, 2:
			found++
			if want := []int{at[0], at[3-place]}; !slices.Equal(e.Copies, want) || !slices.Equal(e.NearCopies, []int{at[3]}) {
				t.Errorf("copy %d: copies %v and near copies %v, want %v and %v", place, e.Copies, e.NearCopies, want, at[3])
			}
		}
	}
	if found == 0 {
		t.Error("no mislabeled copy is among the most harmful samples")
	}
}

// A curve has a value an epoch, and there is one a seed.
func TestCurves(t *testing.T) {
	o := smallRun(t, "count:40")
	for _, arm := range Arms {
		for k, curve := range o.Curves[arm] {
			if len(curve) != o.Config.Recipe.Epochs || !(curve[len(curve)-1] < curve[0]) {
				t.Errorf("%s, seed %d: the curve is %v", arm, k, curve)
			}
		}
		if len(o.Curves[arm]) != o.Config.Seeds {
			t.Errorf("%s has %d curves", arm, len(o.Curves[arm]))
		}
	}
}

// Controls at the amounts tried change nothing that is chosen, and say something of every amount.
func TestDoseControlsDecideNothing(t *testing.T) {
	run := func(controls bool) *Outcome {
		c := DefaultConfig()
		c.Train, c.Score, c.Tune, c.Test = 300, 100, 100, 100
		c.Net, c.Recipe.Epochs, c.Seeds, c.DoseControls = "softmax", 3, 2, controls
		data, backend := prepare(t, &c)
		o, err := Run(context.Background(), c, data, backend, NewMemoryStore(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	with, without := run(true), run(false)
	for k := range with.Result.Drop.Amounts {
		a := &with.Result.Drop.Amounts[k]
		if k > 0 && (a.Random == nil || a.HighestLoss == nil || a.Random.StandardError <= 0 || *a.Random == *a.HighestLoss) {
			t.Errorf("amount %d has the controls %+v and %+v", k, a.Random, a.HighestLoss)
		}
		a.Random, a.HighestLoss = nil, nil
	}
	if !reflect.DeepEqual(with.Result.Drop, without.Result.Drop) || !reflect.DeepEqual(with.Result.Arms, without.Result.Arms) {
		t.Errorf("with controls %+v, without %+v", with.Result.Drop, without.Result.Drop)
	}
}
