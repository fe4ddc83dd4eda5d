package datadropout

import (
	"errors"
	"fmt"
	"os"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// ArmModel reads the network and the model that an arm of the finished run in the directory ended with, at seed number k from 0. reviewed
// is the result of a retraining, for its arm, else nil. It needs no data.
func ArmModel(dir string, run *Result, reviewed *Retrained, arm string, k int) (*net.Network, *train.Model, error) {
	if len(run.Data.Image) != 3 {
		return nil, nil, &dataset.InputError{Path: dir, Err: errors.New("an older version made this run: its result.json does not say the size of the images")}
	}
	outputs := len(run.Data.Classes)
	if net.IsDenoiser(run.Net.Name) {
		outputs = run.Data.Image[2]
	}
	if net.TakesNoiseMap(run.Net.Name) {
		outputs-- // the map of the noise is an input
	}
	return storedModel(dir, run.Net.Name, [3]int(run.Data.Image), outputs, run.modelKey(reviewed, arm, k), arm)
}

// RestorerModel reads the network and the model that round 1 of a run of denoising ended with, at seed number k from 0: of a run that is
// not finished, too. c holds the settings of the run, in its directory. An [*dataset.InputError] wraps os.ErrNotExist where round 1 has not
// come so far.
func RestorerModel(dir string, c *Config, k int) (*net.Network, *train.Model, error) {
	channels, side := c.Denoise.Channels, c.Denoise.PatchSize
	input := [3]int{side, side, channels}
	if net.TakesNoiseMap(c.Net) {
		input[2]++
	}
	return storedModel(dir, c.Net, input, channels, armKey(Full, k), Full)
}

// storedModel reads a network and its model of an arm from a run directory, where it is kept under a key.
func storedModel(dir, name string, input [3]int, outputs int, key, arm string) (*net.Network, *train.Model, error) {
	n, err := net.New(name, input, outputs)
	if err != nil {
		return nil, nil, err
	}
	path := (&DirStore{dir: dir}).path(key, ".model")
	m, err := train.LoadModel(path)
	if errors.Is(err, os.ErrNotExist) {
		err = &absentError{arm}
	}
	if err == nil {
		err = m.Fits(n)
	}
	if err != nil {
		return nil, nil, &dataset.InputError{Path: path, Err: err}
	}
	return n, m, nil
}

// absentError says that a model is not in the run directory.
type absentError struct{ arm string }

func (e *absentError) Error() string {
	return fmt.Sprintf("the model of the arm %s is not there", e.arm)
}
func (*absentError) Unwrap() error { return os.ErrNotExist }

// modelKey is the key of the store under which the model of an arm is kept.
func (r *Result) modelKey(reviewed *Retrained, arm string, k int) string {
	if arm == Reviewed && reviewed != nil {
		return armKey(reviewed.Models, k)
	}
	if arm == Dropped {
		for _, a := range r.Drop.Amounts {
			if a.Chosen && a.Rule != "" {
				return trialKey(a.Rule, k)
			}
		}
	}
	return armKey(arm, k)
}
