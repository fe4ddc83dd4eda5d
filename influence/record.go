package influence

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/train"
)

// Recording returns what the estimator of the name, with the options, wants recorded while the model is trained: see
// [Problem].Record. It is the zero value for those that want nothing.
func Recording(name string, o Options) train.Recording {
	switch name {
	case "aum", "el2n", "forgetting":
		return train.Recording{Dynamics: true}
	case "grand":
		return train.Recording{Early: true}
	case "tracin":
		return train.Recording{Checkpoints: o.WithDefaults(name).Checkpoints}
	}
	return train.Recording{}
}

// retrains returns the number of steps that record carries out: those of the training, if the record lacks what is wanted.
func (p *Problem) retrains(want train.Recording) (steps int, err error) {
	if p.Record != nil && p.Record.Holds(want, p.Recipe, len(p.Train)) {
		return 0, nil
	}
	if err := p.Recipe.Validate(); err != nil {
		return 0, fmt.Errorf("influence: the training that is repeated to record it: %w", err)
	}
	return p.Recipe.Steps(len(p.Train)), nil
}

// record returns the problem's record of its training if that holds what is wanted. Otherwise it repeats the training, and
// the message says so. tick is told of samples trained on. A record of another model is an error.
func (p *Problem) record(ctx context.Context, want train.Recording, tick func(samples int)) (r *train.Record, message string, err error) {
	if p.Record != nil && p.Record.End != p.Model.Digest() {
		return nil, "", fmt.Errorf("influence: the record is of a training that ended at another model of %s", p.Net.Name)
	}
	steps, err := p.retrains(want)
	if err != nil {
		return nil, "", err
	}
	if steps == 0 {
		return p.Record, "", nil
	}
	engine := train.NewEngine(p.Backend, p.Net, p.Loss)
	engine.BoundDeviceMemory(p.DeviceMemory)
	defer engine.Close()
	size := min(p.Recipe.BatchSize, len(p.Train))
	stepped := steppedBy(size, tick)
	t, err := engine.TrainKept(ctx, p.Source, p.Train, p.Recipe, p.TrainSeed, want, p.keep(), stepped)
	if err != nil {
		return nil, "", fmt.Errorf("influence: repeating the training: %w", err)
	}
	stepped(train.Progress{Step: steps}) // one that was kept at its end makes none
	return t.Record, fmt.Sprintf("the training was repeated to record it, %d steps", steps), p.endsAt(t.Model)
}

// keep says where a training that is a part of scoring is kept.
func (p *Problem) keep() train.Keep {
	if p.keeper == nil {
		return train.Keep{}
	}
	return train.Keep{Scratch: p.Scratch, Every: p.KeepEvery, End: true}
}

// steppedBy returns a progress function that tells tick of the samples of all steps since the last call, size a step.
func steppedBy(size int, tick func(samples int)) func(train.Progress) {
	done := 0
	return func(p train.Progress) {
		tick((p.Step - done) * size)
		done = p.Step
	}
}

// endsAt returns an error if a repeated training ended elsewhere than at the problem's model.
func (p *Problem) endsAt(end *train.Model) error {
	if slices.Equal(end.Theta, p.Model.Theta) && slices.Equal(end.State, p.Model.State) {
		return nil
	}
	return fmt.Errorf("influence: %s trained again from seed %d does not end at the model that is given, bit for bit: the recipe, the samples, the seed or the machine differ, or the backend does not compute the same bits twice",
		p.Net.Name, p.TrainSeed)
}

// move evaluates at another model of the problem's network from now on.
func (d *derivatives) move(m *train.Model) error {
	if err := m.Fits(d.problem.Net); err != nil {
		return err
	}
	if d.problem.keeper != nil {
		d.model = m.Digest()
	}
	if err := tensors.AssignFlatData(d.fixed[0].(*tensors.Tensor), m.Theta); err != nil || len(m.State) == 0 {
		return err
	}
	return tensors.AssignFlatData(d.fixed[4].(*tensors.Tensor), m.State)
}
