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
	n, err := net.New(run.Net.Name, [3]int(run.Data.Image), outputs)
	if err != nil {
		return nil, nil, err
	}
	path := (&DirStore{dir: dir}).path(run.modelKey(reviewed, arm, k), ".model")
	m, err := train.LoadModel(path)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("the model of the arm %s is not there", arm)
	}
	if err == nil {
		err = m.Fits(n)
	}
	if err != nil {
		return nil, nil, &dataset.InputError{Path: path, Err: err}
	}
	return n, m, nil
}

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
