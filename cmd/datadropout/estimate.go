package main

import (
	"context"
	"maps"
	"time"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/bench"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
)

// estimate is a plan with what it takes on this machine.
type estimate struct {
	plan *datadropout.Plan
	// most and least are the seconds of each stage, by the longest way that an adaptive rule may take and where nothing is worth
	// dropping.
	most, least map[string]float64
	// rate is the samples trained on a second, and batch the samples of a step; 0 where nothing is left to train.
	rate  float64
	batch int
	// memory is about the most that the process will take, and disk the run directory, in bytes.
	memory, disk int64
	// measured is how long the measurement took.
	measured time.Duration
	// budget is what the run has to fit into, 0 for none, and cuts are the settings that were lowered for it.
	budget time.Duration
	cuts   []cut
}

// stages lists those with something to do, in order.
func (e *estimate) stages() []string {
	var all []string
	for _, stage := range datadropout.Stages {
		if e.most[stage] > 0 {
			all = append(all, stage)
		}
	}
	return all
}

func total(seconds map[string]float64) float64 {
	sum := 0.0
	for _, s := range seconds {
		sum += s
	}
	return sum
}

// measurer measures how fast the phases of a plan go, each once, by running them on the data of the run.
type measurer struct {
	backend compute.Backend
	data    *datadropout.Data
	speeds  map[datadropout.Phase]datadropout.Speed
	spent   time.Duration
}

func newMeasurer(backend compute.Backend, data *datadropout.Data) *measurer {
	return &measurer{backend: backend, data: data, speeds: map[datadropout.Phase]datadropout.Speed{}}
}

// measureFor is how long a plan is measured, and briefRun the length of a run up to which measuring briefly is enough.
const (
	measureFor     = 2 * time.Second
	measureBriefly = 200 * time.Millisecond
	briefRun       = time.Minute
)

// memoryMargin is what a run takes of memory over the measurement, which has run all its phases: garbage between two collections,
// models and scores. The built-in example took 135 MB where 103 were measured.
const memoryMargin = 1.3

// measure measures the phases that have not been, for about the given time in all, and each at least
// once.
func (m *measurer) measure(ctx context.Context, p *datadropout.Plan, budget time.Duration) error {
	var missing []datadropout.Phase
	for _, phase := range p.Phases() {
		if _, ok := m.speeds[phase]; !ok {
			missing = append(missing, phase)
		}
	}
	began := time.Now()
	defer func() { m.spent += time.Since(began) }()
	for _, phase := range missing {
		source := m.data.Source()
		if !phase.Augmentation.IsZero() {
			var err error
			if source, err = dataset.Augmented(source, phase.Augmentation); err != nil {
				return err
			}
		}
		name := phase.Name
		if name == influence.PhaseStep && !m.backend.HasSharedBuffers() {
			name = bench.PhaseTraining // many steps are one call there
		}
		got, err := bench.Run(ctx, m.backend, bench.Setting{
			Network: p.Networks[phase.Net], Phase: name, Batch: phase.Batch, Directions: phase.Directions,
			Source: source, Nesterov: phase.Nesterov, Seconds: budget.Seconds() / float64(len(missing)), Brief: true,
		})
		if err != nil {
			return err
		}
		// The mean, for what else the machine does slows a run down as well.
		sample := got.MeanSeconds / float64(phase.Batch)
		m.speeds[phase] = datadropout.Speed{Sample: sample, Once: max(0, got.FirstSeconds-float64(phase.Batch)*sample)}
	}
	return nil
}

// unused is the memory that batches take which were compiled but not run, as they take too long, over what was run.
func (m *measurer) unused() int64 {
	b, ok := m.backend.(interface{ Scratch() (compiled, run int64) })
	if !ok {
		return 0
	}
	compiled, run := b.Scratch()
	return compiled - run
}

// estimate says what a plan takes, after it was measured.
func (m *measurer) estimate(p *datadropout.Plan) *estimate {
	speed := func(phase datadropout.Phase) datadropout.Speed { return m.speeds[phase] }
	e := &estimate{
		plan: p, most: datadropout.Seconds(p.Most, speed), least: datadropout.Seconds(p.Least, speed),
		memory: int64(memoryMargin*float64(datadropout.PeakMemory()+m.unused())) + p.Memory, disk: p.Disk, measured: m.spent,
	}
	for _, w := range p.Most {
		if w.Kind == datadropout.KindTraining {
			e.rate, e.batch = 1/m.speeds[w.Phase].Sample, w.Phase.Batch
			break
		}
	}
	return e
}

// estimateRun measures a run and says what it takes. A thorough measurement takes its time at once; otherwise only a run that takes
// long is measured for more than a moment.
func (m *measurer) estimateRun(ctx context.Context, p *datadropout.Plan, thorough bool) (*estimate, error) {
	if !thorough {
		if err := m.measure(ctx, p, measureBriefly); err != nil {
			return nil, err
		}
		if e := m.estimate(p); total(e.most) < briefRun.Seconds() {
			return e, nil
		}
		// A phase that takes longer than its share of a measurement is not measured better by a second one.
		share := measureFor.Seconds() / float64(len(m.speeds))
		maps.DeleteFunc(m.speeds, func(phase datadropout.Phase, s datadropout.Speed) bool { return s.Sample*float64(phase.Batch) < share })
	}
	if err := m.measure(ctx, p, measureFor); err != nil {
		return nil, err
	}
	return m.estimate(p), nil
}
