package datadropout

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/restore"
	"github.com/datadropout/datadropout/train"
)

// rehearsal is a run that computes nothing and writes down what there would be to do. Evaluations and removal effects are made
// up, so that an adaptive rule tries all that it may: every smaller set of samples does better at the first seed, and of those
// that are trained at another seed the first few do not.
type rehearsal struct {
	config   Config
	data     *Data
	rejected int // of the sets that are confirmed; noneQualifies
	work     []Work
	networks map[string]*net.Network
	stage    string
	piece    string
	// trained holds the models, by which evaluations know what they are of.
	trained map[*train.Model]training
	// confirmed holds the sizes of the reduced sets that were trained at a second seed to be confirmed.
	confirmed []int
	memory    int64
	written   int64
}

// noneQualifies is a number of rejected sets that means that none does better, even at the first seed.
const noneQualifies = -1

// training is what a model was trained on.
type training struct {
	samples int
	seed    uint64
	work    int // its place in the work
	bytes   int64
	stage   string
}

func newRehearsal(c Config, d *Data, rejected int) *rehearsal {
	return &rehearsal{config: c, data: d, rejected: rejected, networks: map[string]*net.Network{}, trained: map[*train.Model]training{}, stage: StageRound1}
}

func (r *rehearsal) observe(e Event) { r.stage, r.piece = e.Stage, e.What }

func (r *rehearsal) tools() tools {
	return tools{
		engine: func(n *net.Network) engine {
			r.networks[n.Name] = n
			return &rehearsedEngine{r, n}
		},
		estimator: func(name string, o influence.Options) (influence.Estimator, error) {
			e, err := influence.New(name, o)
			if err != nil {
				return nil, err
			}
			return &rehearsedEstimator{e, r}, nil
		},
		restore: func(_ context.Context, n *net.Network, _ *train.Model, s *restore.Set) ([]restore.Score, error) {
			scores, pixels := make([]restore.Score, len(s.Pairs)), 0
			for i, p := range s.Pairs {
				scores[i] = restore.Score{ID: p.Clean.ID, Height: p.Clean.Height, Width: p.Clean.Width}
				pixels += p.Clean.Height * p.Clean.Width
			}
			// Whole images cost about what patches of as many pixels do.
			r.add(Work{Kind: KindEvaluation, Samples: float64(pixels) / float64(n.Input[0]*n.Input[1]),
				Phase: Phase{Net: n.Name, Name: influence.PhaseForward, Batch: evaluationBatch}})
			return scores, nil
		},
		apply: func(_ context.Context, n *net.Network, _ *train.Model, noisy []*restore.Image, _ []float32) ([]*restore.Image, error) {
			pixels := 0
			for _, m := range noisy {
				pixels += m.Height * m.Width
			}
			r.add(Work{Kind: KindExamination, Samples: float64(pixels) / float64(n.Input[0]*n.Input[1]),
				Phase: Phase{Net: n.Name, Name: influence.PhaseForward, Batch: evaluationBatch}})
			return noisy, nil
		},
		products: func(_ context.Context, p *influence.Problem) ([][]float64, error) {
			// A gradient a training sample, and a pass over the score samples for a few of them at a time.
			n := len(p.Train) * min(len(p.Score), evaluationBatch)
			r.add(Work{Kind: KindExamination, Phase: Phase{Net: p.Net.Name, Name: influence.PhaseGradient, Batch: evaluationBatch}, Samples: float64(2 * n)})
			products := make([][]float64, len(p.Train))
			for i := range products {
				products[i] = make([]float64, len(p.Score))
			}
			return products, nil
		},
	}
}

// evaluationBatch is about the number of samples that are evaluated at once.
const evaluationBatch = 128

func (r *rehearsal) add(w Work) int {
	w.Stage, w.What, w.Most = r.stage, r.piece, max(w.Most, w.Samples)
	r.work = append(r.work, w)
	return len(r.work) - 1
}

// reduced says whether a model was trained on less than the training split.
func (r *rehearsal) reduced(t training) bool { return t.samples < len(r.data.Split.Train) }

// rehearsedEngine trains nothing.
type rehearsedEngine struct {
	*rehearsal
	net *net.Network
}

var _ engine = (*rehearsedEngine)(nil)

// TrainKept implements engine. The model holds nothing, and neither do the lists of the record.
func (e *rehearsedEngine) TrainKept(_ context.Context, _ dataset.Source, idx []int, r train.Recipe, seed uint64, rec train.Recording,
	_ train.Keep, _ func(train.Progress)) (*train.Trained, error) {
	batch := min(r.BatchSize, len(e.data.Split.Train))
	at := e.add(Work{
		Kind: KindTraining, Trainings: 1, Samples: float64(r.Steps(len(idx)) * batch),
		Phase: Phase{Net: e.net.Name, Name: influence.PhaseStep, Batch: batch, Augmentation: r.Augmentation, Nesterov: r.Nesterov},
	})
	vector := 4 * int64(e.net.Size()+e.net.StateSize())
	t := training{samples: len(idx), seed: seed, work: at, bytes: vector, stage: e.stage}
	record := &train.Record{}
	if rec.Dynamics {
		n := len(idx)
		record.Presentations, record.AUM, record.Forgotten = make([]int, n), make([]float64, n), make([]int, n)
		record.Learned, record.EL2N = make([]bool, n), make([]float64, n)
		t.bytes += 33 * int64(n)
	}
	if rec.Early {
		record.Early = &train.Model{}
		t.bytes += vector
	}
	if rec.Checkpoints > 0 {
		record.Checkpoints = make([]train.Checkpoint, min(rec.Checkpoints, r.Steps(len(idx))))
		t.bytes += vector * int64(len(record.Checkpoints))
	}
	m := &train.Model{}
	e.trained[m] = t
	if t.stage == StageChoose && seed != e.config.Seed && e.reduced(t) && !slices.Contains(e.confirmed, t.samples) {
		e.confirmed = append(e.confirmed, t.samples)
	}
	return &train.Trained{Model: m, Record: record}, nil
}

// Evaluate implements engine. All samples have the same loss.
func (e *rehearsedEngine) Evaluate(_ context.Context, m *train.Model, _ dataset.Source, idx []int) (*train.Evaluation, error) {
	e.add(Work{
		Kind: KindEvaluation, Samples: math.Ceil(float64(len(idx))/evaluationBatch) * evaluationBatch,
		Phase: Phase{Net: e.net.Name, Name: influence.PhaseForward, Batch: evaluationBatch},
	})
	loss, metric := 1.0, 0.5
	if t := e.trained[m]; e.reduced(t) {
		better := e.rejected != noneQualifies
		if k := slices.Index(e.confirmed, t.samples); better && k >= 0 && k < e.rejected {
			better = t.seed == e.config.Seed
		}
		// The fewer samples are dropped the better, for these take the longest to train on.
		share := float64(t.samples) / float64(len(e.data.Split.Train))
		loss, metric = 2-0.5*share, 0.4
		if better {
			loss, metric = 0.9-0.5*share, 0.6
		}
	}
	ev := &train.Evaluation{Loss: loss, Metric: metric, SampleLoss: make([]float32, len(idx)), SampleMetric: make([]float32, len(idx))}
	for i := range ev.SampleLoss {
		ev.SampleLoss[i], ev.SampleMetric[i] = float32(loss), float32(metric)
	}
	return ev, nil
}

// Features implements engine.
func (e *rehearsedEngine) Features(_ context.Context, _ *train.Model, _ dataset.Source, idx []int) ([]float32, int, error) {
	e.add(Work{Kind: KindExamination, Samples: float64(len(idx)), Phase: Phase{Net: e.net.Name, Name: influence.PhaseForward, Batch: evaluationBatch}})
	return nil, 0, nil
}

// Close implements engine.
func (*rehearsedEngine) Close() {}

// rehearsedEstimator scores nothing.
type rehearsedEstimator struct {
	influence.Estimator
	*rehearsal
}

// Score implements influence.Estimator.
func (e *rehearsedEstimator) Score(_ context.Context, p *influence.Problem, _ func(done, total int)) (*influence.Scores, error) {
	for _, w := range e.Work(p) {
		phase := Phase{Net: p.Net.Name, Name: w.Phase, Batch: w.Batch, Directions: w.Directions}
		if w.Phase == influence.PhaseStep {
			phase.Augmentation, phase.Nesterov = p.Recipe.Augmentation, p.Recipe.Nesterov
		}
		kind := KindScores
		if w.Trainings > 0 {
			kind = KindTraining
		}
		expected := float64(w.Padded) * cmp.Or(w.Cost, 1)
		most := expected * float64(w.Most) / float64(max(1, w.Samples))
		e.add(Work{Kind: kind, Phase: phase, Samples: expected, Most: most, Trainings: w.Trainings})
		e.memory = max(e.memory, w.Memory)
		e.written += w.Disk
	}
	folds := 0
	if influence.HasTarget(e.config.Estimator) {
		folds = p.Folds
	}
	return madeUpScores(len(p.Train), folds), nil
}

// madeUpScores are removal effects by which all rules propose something: three fifths are below zero, in no particular order of
// the samples, and the folds differ least for some of the most harmful, but not for all.
func madeUpScores(n, folds int) *influence.Scores {
	s := &influence.Scores{Delta: make([]float64, n), Calibrated: true, Solver: influence.Solver{Converged: true}}
	order := rand.New(rand.NewPCG(1, uint64(n))).Perm(n)
	for rank, i := range order {
		s.Delta[i] = (float64(rank)+0.5)/float64(n) - 0.6
	}
	if folds < 2 {
		return s
	}
	for k := range folds {
		fold := slices.Clone(s.Delta)
		for rank, i := range order {
			noise := 0.05 + 0.4*float64((rank+6)%7)/6
			fold[i] += noise * math.Cos(2*math.Pi*float64(k)/float64(folds)+float64(rank))
		}
		s.Folds = append(s.Folds, fold)
	}
	return s
}

// store returns a store that keeps nothing on disk.
func (r *rehearsal) store() Store { return &rehearsedStore{NewMemoryStore(), r} }

// rehearsedStore tells the work by which keys it would be stored.
type rehearsedStore struct {
	Store
	*rehearsal
}

// SaveModel implements Store.
func (s *rehearsedStore) SaveModel(key, of string, m *train.Model, seconds float64) error {
	t := s.trained[m]
	s.work[t.work].Key, s.work[t.work].Of = key, of
	s.written += t.bytes
	return s.Store.SaveModel(key, of, m, seconds)
}

// SaveScores implements Store.
func (s *rehearsedStore) SaveScores(key, of string, scores *influence.Scores, seconds float64) error {
	for i := len(s.work) - 1; i >= 0 && s.work[i].Key == "" && s.work[i].Stage == s.stage && s.work[i].What == s.piece; i-- {
		s.work[i].Key, s.work[i].Of = key, of
	}
	s.written += 21 * int64(len(scores.Delta)) * int64(1+len(scores.Folds)) // a number in JSON
	return s.Store.SaveScores(key, of, scores, seconds)
}

// disk is about what the run directory takes: what is stored, a line a sample in the tables, and the page.
func (r *rehearsal) disk() int64 {
	const line, page = 120, 2 << 20
	return r.written + int64(line*len(r.data.Split.Train)) + page
}
