package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
)

var everything = Recording{Dynamics: true, Early: true, Checkpoints: 4}

// TestRecordingChangesNoBit trains with and without recording.
func TestRecordingChangesNoBit(t *testing.T) {
	src := newBlobs(100, 2)
	tests := []struct {
		net *net.Network
		src dataset.Source
	}{{linear(), src}, {normalized(), src}}
	for name, side := range map[string]int{"cnn": 8, "lenet5-smooth": 12, "resnet9": 16, "resnet20": 16} {
		n, err := net.New(name, [3]int{side, side, 1}, classes)
		if err != nil {
			t.Fatal(err)
		}
		tests = append(tests, struct {
			net *net.Network
			src dataset.Source
		}{n, enlarged{src, n.Input[0]}})
	}
	for _, test := range tests {
		var first *Record
		var model *Model
		for _, threads := range []int{1, 2} {
			e := NewEngine(backend(t, threads), test.net, CrossEntropy{})
			defer e.Close()
			r := recipe
			r.LearningRate = 0.05
			want, err := e.Train(t.Context(), test.src, positions(50), r, 3, nil)
			if err != nil {
				t.Fatal(err)
			}
			if model == nil {
				model = want
			}
			for _, rec := range []Recording{{}, {Dynamics: true}, {Checkpoints: 3}, everything} {
				m, record, err := e.TrainRecorded(t.Context(), test.src, positions(50), r, 3, rec, nil)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(m.Theta, model.Theta) || !slices.Equal(m.State, model.State) {
					t.Errorf("%s: recording %+v at %d threads changes the model", test.net.Name, rec, threads)
				}
				if (record == nil) != (rec == Recording{}) {
					t.Errorf("%s: recording %+v gives the record %v", test.net.Name, rec, record)
				}
				if record != nil && (!record.Holds(rec, r, 50) || record.End != model.Digest()) {
					t.Errorf("%s: the record does not hold %+v, or not of this model", test.net.Name, rec)
				}
				if rec != everything {
					continue
				}
				if first == nil {
					first = record
				} else if string(encodedRecord(t, record)) != string(encodedRecord(t, first)) {
					t.Errorf("%s: the record has other bits at %d threads", test.net.Name, threads)
				}
			}
		}
	}
}

// enlarged shows blobs as square images of one channel: the features repeated.
type enlarged struct {
	*blobs
	side int
}

func (p enlarged) InputDims() []int { return []int{p.side, p.side, 1} }
func (p enlarged) Fill(i int, x, y []float32) {
	p.blobs.Fill(i, make([]float32, features), y)
	for j := range x {
		x[j] = p.x[i][j%features] * float32(1+j%7) / 4
	}
}

// TestRecordAgainstReference computes the dynamics again from the training in plain Go and float64, in the way that their
// definitions are written: over the list of a sample's logits, presentation by presentation.
func TestRecordAgainstReference(t *testing.T) {
	src := newBlobs(60, 1)
	for i := 0; i < len(src.labels); i += 4 { // wrong labels, so that something is forgotten
		src.labels[i] = (src.labels[i] + 1) % classes
	}
	idx := []int{}
	for i := len(src.x) - 1; i >= 0; i-- {
		if i%5 != 2 {
			idx = append(idx, i)
		}
	}
	for _, r := range []Recipe{
		{Epochs: 12, BatchSize: 7, LearningRate: 0.3, Momentum: 0.5, WeightDecay: 0.01},
		{Epochs: 3, BatchSize: 1000, LearningRate: 0.5},
		{Epochs: 1, BatchSize: 9, LearningRate: 0.5, Schedule: Constant}, // 48 samples: three are never presented
	} {
		n := linear()
		e := NewEngine(backend(t, 2), n, CrossEntropy{})
		defer e.Close()
		_, got, err := e.TrainRecorded(t.Context(), src, idx, r, 7, Recording{Dynamics: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		theta, _ := n.Init(7)
		ref := newReference(theta)
		momentum := make([]float64, len(theta))
		order, err := NewOrder(src.Len(), idx, 7)
		if err != nil {
			t.Fatal(err)
		}
		batch := make([]int, min(r.BatchSize, len(idx)))
		steps := r.Steps(len(idx))
		logits := map[int][][]float64{}
		early := map[int]int{}
		for s := range steps {
			order.Batch(s, batch)
			for k, i := range batch {
				logits[i] = append(logits[i], ref.logits(src.x[i]))
				if (s*len(batch)+k)/len(idx) < max(1, r.Epochs/5) {
					early[i]++
				}
			}
			_, g := ref.gradient(src, batch)
			for j := range g {
				momentum[j] = r.Momentum*momentum[j] + g[j] + r.WeightDecay*ref.theta[j]
				ref.theta[j] -= r.Rate(s, steps) * momentum[j]
			}
		}
		forgotten, never, unseen := 0, 0, 0
		for k, i := range idx {
			label := src.labels[i]
			aum, el2n, count, learned := 0.0, 0.0, 0, false
			for p, z := range logits[i] {
				others := slices.Delete(slices.Clone(z), label, label+1)
				aum += (z[label] - slices.Max(others)) / float64(len(logits[i]))
				right := z[label] > slices.Max(others)
				learned = learned || right
				if before := logits[i][max(0, p-1)]; !right && floats.MaxIdx(before) == label {
					count++
				}
				if p < early[i] {
					sum := floats.LogSumExp(z)
					square := 0.0
					for c, v := range z {
						d := math.Exp(v - sum)
						if c == label {
							d--
						}
						square += d * d
					}
					el2n += math.Sqrt(square) / float64(early[i])
				}
			}
			if got.Presentations[k] != len(logits[i]) || got.Forgotten[k] != count || got.Learned[k] != learned {
				t.Errorf("%+v, sample %d: %d presentations, forgotten %d times, learned %v; want %d, %d, %v", r, i,
					got.Presentations[k], got.Forgotten[k], got.Learned[k], len(logits[i]), count, learned)
			}
			if math.Abs(got.AUM[k]-aum) > 2e-5 || math.Abs(got.EL2N[k]-el2n) > 2e-5 {
				t.Errorf("%+v, sample %d: AUM %v and EL2N %v, want %v and %v", r, i, got.AUM[k], got.EL2N[k], aum, el2n)
			}
			forgotten += count
			if !learned {
				never++
			}
			if len(logits[i]) == 0 {
				unseen++
			}
		}
		t.Logf("%d epochs: %d forgetting events, %d of %d samples never learned, %d never presented", r.Epochs, forgotten, never, len(idx), unseen)
		if r.Epochs == 12 && (forgotten == 0 || never == 0) || r.Epochs == 1 && unseen != 3 {
			t.Errorf("%d epochs: the test forgets %d times, leaves %d never learned and %d never presented", r.Epochs, forgotten, never, unseen)
		}
	}
}

// TestForgettingByHand feeds the recorder with predictions written down by hand: + is right, - wrong, = a tie of the
// label, class 1, with class 0, which counts as class 0.
func TestForgettingByHand(t *testing.T) {
	logits := map[rune][]float32{'+': {0, 2, -1}, '-': {3, 2, -1}, '=': {2, 2, 0}}
	for _, test := range []struct {
		seen      string
		forgotten int
		learned   bool
		aum       float64
	}{
		{"++++", 0, true, 2},
		{"----", 0, false, -1},
		{"-+++", 0, true, 1.25},
		{"+-+-", 2, true, 0.5},
		{"+---", 1, true, -0.25},
		{"-+--+-", 2, true, 0},
		{"+=+=", 2, true, 1},
		{"====", 0, false, 0},
		{"", 0, false, 0},
	} {
		c := &recorder{
			round: &round{}, early: -1, classes: 3, probability: make([]float64, 3), earlySeen: make([]int, 1), correct: make([]bool, 1),
			record: &Record{Presentations: make([]int, 1), AUM: make([]float64, 1), Forgotten: make([]int, 1), Learned: make([]bool, 1), EL2N: make([]float64, 1)},
		}
		for k, what := range test.seen {
			c.sample(0, k == 0, logits[what], 1)
		}
		r, err := c.end()
		if err != nil {
			t.Fatal(err)
		}
		if r.Forgotten[0] != test.forgotten || r.Learned[0] != test.learned || r.Presentations[0] != len(test.seen) || math.Abs(r.AUM[0]-test.aum) > 1e-12 {
			t.Errorf("%q: %+v, want %+v", test.seen, *r, test)
		}
		if test.seen == "====" { // softmax (e^2, e^2, 1) / (2 e^2 + 1)
			p, q := math.E*math.E/(2*math.E*math.E+1), 1/(2*math.E*math.E+1)
			if want := math.Sqrt(p*p + (1-p)*(1-p) + q*q); math.Abs(r.EL2N[0]-want) > 1e-12 {
				t.Errorf("EL2N %v of the first presentation, want %v", r.EL2N[0], want)
			}
		}
	}
}

// TestRecordCheckpoints compares checkpoints with a trajectory's parameters of every step.
func TestRecordCheckpoints(t *testing.T) {
	src, n := newBlobs(60, 4), normalized()
	e := NewEngine(backend(t, 2), n, CrossEntropy{})
	defer e.Close()
	idx := positions(37)
	r := Recipe{Epochs: 11, BatchSize: 8, LearningRate: 0.2, Momentum: 0.9, WeightDecay: 0.01, WarmupFraction: 0.2}
	steps := r.Steps(len(idx))
	tr, err := e.Trajectory(t.Context(), src, idx, r, 9, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	at := map[int]*Model{steps: tr.Final()}
	if err := tr.Backward(t.Context(), func(m Moment) error {
		point := see(t, m)
		at[m.Step] = &Model{Theta: point.theta, State: point.state}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for s := range steps {
		total += r.Rate(s, steps)
	}
	for _, count := range []int{1, 5, 7, steps, steps + 1} {
		_, record, err := e.TrainRecorded(t.Context(), src, idx, r, 9, Recording{Checkpoints: count, Early: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(record.Checkpoints) != min(count, steps) || !record.Holds(Recording{Checkpoints: count, Early: true}, r, len(idx)) {
			t.Fatalf("%d checkpoints of %d steps: %d kept", count, steps, len(record.Checkpoints))
		}
		rates := 0.0
		for k, c := range record.Checkpoints {
			if want := at[c.Step]; !slices.Equal(c.Theta, want.Theta) || !slices.Equal(c.State, want.State) {
				t.Errorf("%d checkpoints: number %d is not the model after %d steps", count, k, c.Step)
			}
			if middle := (float64(k) + 0.5) * float64(steps) / float64(min(count, steps)); math.Abs(float64(c.Step)-middle) > 1.5 {
				t.Errorf("%d checkpoints: number %d is at step %d, want about %.1f", count, k, c.Step, middle)
			}
			if count >= steps && (c.Step != k || c.Rates != r.Rate(k, steps)) {
				t.Errorf("a checkpoint for every step: number %d is at step %d with rate %v", k, c.Step, c.Rates)
			}
			rates += c.Rates
		}
		if math.Abs(rates-total) > 1e-12 {
			t.Errorf("%d checkpoints stand for rates of %v, want %v", count, rates, total)
		}
		early := r.EarlySteps(len(idx))
		if early != 2*37/8 || !slices.Equal(record.Early.Theta, at[early].Theta) || !slices.Equal(record.Early.State, at[early].State) {
			t.Errorf("the early model is not that after %d steps", early)
		}
	}
	// Where all of the training is early, the early model is the last.
	r.Epochs = 1
	m, record, err := e.TrainRecorded(t.Context(), src, idx, r, 9, Recording{Early: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(record.Early.Theta, m.Theta) || !slices.Equal(record.Early.State, m.State) {
		t.Error("one epoch: the early model is not the final one")
	}
}

func TestTrainRecordedRefuses(t *testing.T) {
	src, b := newBlobs(40, 4), backend(t, 1)
	image := &net.Network{Name: "image", Input: [3]int{2, 3, 1}, Params: linear().Params[:1], Forward: linear().Forward}
	for _, test := range []struct {
		name string
		loss Loss
		src  dataset.Source
		rec  Recording
		says string
	}{
		{"images", SquaredError{}, restored{src}, Recording{Dynamics: true}, "classification"},
		{"another loss", SquaredError{}, src, Recording{Dynamics: true}, "classification"},
		{"one class", CrossEntropy{}, single{src}, Recording{Dynamics: true}, "classification"},
		{"a number below zero", CrossEntropy{}, src, Recording{Checkpoints: -1}, "checkpoints"},
	} {
		e := NewEngine(b, image, test.loss)
		if _, _, err := e.TrainRecorded(t.Context(), test.src, positions(40), recipe, 1, test.rec, nil); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want one about %q", test.name, err, test.says)
		}
		e.Close()
	}
	e := NewEngine(b, linear(), CrossEntropy{})
	defer e.Close()
	ctx, cancel := context.WithCancel(t.Context())
	if _, _, err := e.TrainRecorded(ctx, src, positions(40), recipe, 1, everything, func(Progress) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

// restored has images for targets.
type restored struct{ *blobs }

func (restored) TargetDims() []int { return []int{2, 3, 1} }

// single has one class.
type single struct{ *blobs }

func (single) TargetDims() []int { return []int{1} }
