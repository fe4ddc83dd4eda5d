package datadropout

import (
	"context"
	"slices"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
)

// Plan is what a run will do. It comes of the run's own code, carried out with tools that compute nothing: what a run trains,
// it plans.
type Plan struct {
	// Most is the work of a run whose adaptive rule takes the longest way, and Least that of one where nothing qualifies to be
	// dropped. They are the same for a fixed rule. A fixed rule that drops by sign, and the amounts of an adaptive one, are
	// planned on made-up removal effects.
	Most, Least []Work
	// Networks holds those that are trained, by name.
	Networks map[string]*net.Network
	// Disk is about how many bytes the run directory will take, and Memory what estimators keep beside what the evaluation of a
	// batch takes.
	Disk, Memory int64
}

// Work is a piece of a run.
type Work struct {
	// Stage and Kind are as in [Event].
	Stage, Kind string
	// What says what, Key is what the store knows it by when it is done, and Of what it is made of there; both are empty where it
	// keeps nothing.
	What, Key, Of string
	// Phase is how samples are evaluated, and Samples how many are, each as often as it is, with those that fill up batches.
	Phase   Phase
	Samples float64
	// Most is as many as there can be where a solver stops by itself and Samples is what to expect; else it is Samples.
	Most float64
	// Trainings is how many whole trainings this is: 1 for a training, and what an estimator trains.
	Trainings int
}

// Phase is a way of evaluating a network, of which [Work] is made and whose speed can be measured.
type Phase struct {
	// Net names the network and Name the phase, by the constants of package influence. Batch and Directions are as in
	// [influence.Work].
	Net, Name         string
	Batch, Directions int
	// Augmentation and Nesterov are those of a training step.
	Augmentation dataset.Augmentation
	Nesterov     bool
}

// NewPlan returns what [Run] will do with the same settings and data. It trains nothing and writes nothing.
func NewPlan(c Config, d *Data) (*Plan, error) {
	none, _, err := rehearse(c, d, noneQualifies) // a fixed rule asks for no qualification
	if err != nil {
		return nil, err
	}
	p := &Plan{Least: none.work, Most: none.work, Networks: none.networks, Disk: none.disk(), Memory: none.memory}
	if rule, err := ParseRule(c.Rule); err != nil || !rule.Adaptive() {
		return p, err
	}
	for rejected := 0; ; rejected++ {
		r, confirmed, err := rehearse(c, d, rejected)
		if err != nil {
			return nil, err
		}
		if samples(r.work) > samples(p.Most) {
			p.Most, p.Disk, p.Memory = r.work, r.disk(), r.memory
		}
		if rejected >= confirmed {
			return p, nil
		}
	}
}

// rehearse carries out a run that computes nothing, in which the given number of proposals fail to be confirmed. It returns what
// there was to do, and how many proposals were to be confirmed.
func rehearse(c Config, d *Data, rejected int) (r *rehearsal, confirmed int, err error) {
	r = newRehearsal(c, d, rejected)
	run, err := newRunner(c, d, nil, r.store(), r.observe, r.tools())
	if err != nil {
		return nil, 0, err
	}
	defer run.close()
	if err := run.run(context.Background()); err != nil {
		return nil, 0, err
	}
	return r, len(r.confirmed), nil
}

// samples adds up those of training, which take most of the time.
func samples(work []Work) float64 {
	n := 0.0
	for _, w := range work {
		if w.Kind == KindTraining {
			n += w.Samples
		}
	}
	return n
}

// Trainings counts the trainings of a stage among the work; of all stages where it is empty.
func Trainings(work []Work, stage string) int {
	n := 0
	for _, w := range work {
		if stage == "" || w.Stage == stage {
			n += w.Trainings
		}
	}
	return n
}

// Left returns the plan without what is done: of says what is kept under a key was made of, as [Store].Of does. Which samples are left
// out is made up in a plan, so of trainings on less only the key counts.
func (p *Plan) Left(of func(key string) string) *Plan {
	left := *p
	// Round 2 begins when the choice is made, whatever else it may have tried.
	chosen := slices.ContainsFunc(p.Most, func(w Work) bool { return w.Stage == StageRound2 && w.Key != "" && of(w.Key) != "" })
	gone := func(w Work) bool {
		if w.Key == "" {
			return false
		}
		if chosen && w.Stage == StageChoose {
			return true
		}
		made := of(w.Key)
		return made == w.Of || made != "" && (w.Stage == StageChoose || w.Stage == StageRound2)
	}
	left.Most = slices.DeleteFunc(slices.Clone(p.Most), gone)
	left.Least = slices.DeleteFunc(slices.Clone(p.Least), gone)
	return &left
}

// UpTo returns the plan without the stages after the given one.
func (p *Plan) UpTo(stage string) *Plan {
	some := *p
	later := func(w Work) bool { return slices.Index(Stages, w.Stage) > slices.Index(Stages, stage) }
	some.Most = slices.DeleteFunc(slices.Clone(p.Most), later)
	some.Least = slices.DeleteFunc(slices.Clone(p.Least), later)
	return &some
}

// Phases lists what has to be measured to say how long the plan takes, in the order in which it comes.
func (p *Plan) Phases() []Phase {
	var all []Phase
	for _, w := range p.Most {
		if !slices.Contains(all, w.Phase) {
			all = append(all, w.Phase)
		}
	}
	return all
}

// Speed is how fast a phase goes: seconds a sample, and the seconds that are lost once, when it is compiled.
type Speed struct{ Sample, Once float64 }

// Seconds returns how long the work of each stage takes at the speeds of its phases.
func Seconds(work []Work, speed func(Phase) Speed) map[string]float64 {
	seconds, compiled := map[string]float64{}, map[Phase]bool{}
	for _, w := range work {
		s := speed(w.Phase)
		seconds[w.Stage] += w.Samples * s.Sample
		if !compiled[w.Phase] {
			compiled[w.Phase] = true
			seconds[w.Stage] += s.Once
		}
	}
	return seconds
}
