package datadropout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute"
)

// Reviewed is the arm of [Retrain]: round 2 on what a person decided.
const Reviewed = "reviewed"

// Amendment is a training split after a review: the positions that are kept, ascending, and new labels of some of them.
type Amendment struct {
	Kept   []int
	Labels map[int]int
}

// Retrained is the content of retrain.json: round 2 on an amendment, beside the arms of the run. Keys stay; more may be added.
type Retrained struct {
	Schema int    `json:"schema"`
	Task   string `json:"task"`
	Metric string `json:"metric"`
	// Train counts the training samples, Dropped those that the amendment drops and RunDropped those that the run did, and
	// Relabeled the new labels.
	Train      int `json:"train"`
	Dropped    int `json:"dropped"`
	RunDropped int `json:"run_dropped"`
	Relabeled  int `json:"relabeled"`
	// Arms holds the arms full and, if the run dropped anything, dropped, as the run measured them, and reviewed.
	Arms ArmsResult `json:"arms"`
	// Effect compares the reviewed with the full arm, and OverDropped with the dropped one; nil if the run dropped nothing.
	Effect      Effect  `json:"effect"`
	OverDropped *Effect `json:"over_dropped"`
	// Models names the files of the trained models in checkpoints/, before the number of the seed.
	Models  string  `json:"models"`
	Seconds float64 `json:"seconds"`
}

// Retrain carries out round 2 on an amendment at every seed of a finished run, and compares it with the arms of the run's result.
// Trainings are kept in the store by what was decided: an interrupted retraining continues to the same result. Cancelling ctx
// stops between two steps and returns ctx's error.
func Retrain(ctx context.Context, c Config, d *Data, backend compute.Backend, store Store, run *Result, a Amendment, observe Observer) (*Retrained, error) {
	if c.Task != Classification {
		return nil, usagef("round 2 on decisions of a review is for classification, and this is a run of %s", c.Task)
	}
	revised, err := d.revised(a)
	if err != nil {
		return nil, err
	}
	full, dropped := run.Arms[Full], run.Arms[Dropped]
	if full == nil || len(full.TestMetric) != c.Seeds {
		return nil, fmt.Errorf("the result of the run does not hold its %d seeds", c.Seeds)
	}
	r := &runner{
		config: c, data: revised, backend: backend, store: store, observe: observe, tools: computing(backend, revised.Loss(), c.DeviceMemory), trained: map[string]bool{},
		out: &Outcome{Config: c, Data: revised, Curves: map[string][][]float64{}},
	}
	if r.trainer, err = newTrainer(r.tools, &c, revised, c.Net, c.Recipe); err != nil {
		return nil, err
	}
	defer r.engine.Close()
	result := &Retrained{
		Schema: 1, Task: run.Task, Metric: run.Metric, Train: len(d.Split.Train), Dropped: len(d.Split.Train) - len(a.Kept), Relabeled: len(a.Labels),
		RunDropped: run.Drop.Count,
		Arms:       ArmsResult{Full: full, Reviewed: newArmResult()},
	}
	arm := Reviewed + "-" + a.digest()
	result.Models = arm
	for k := range c.Seeds {
		piece := Event{Stage: StageRound2, Part: k + 1, Parts: c.Seeds, What: fmt.Sprintf("%s, %d samples, seed %d", Reviewed, len(a.Kept), r.seed(k))}
		if _, err := r.train(ctx, r.trainer, armKey(arm, k), a.Kept, r.seed(k), piece, &result.Seconds); err != nil {
			return nil, err
		}
		if err := r.measure(ctx, arm, k, a.Kept, result.Arms[Reviewed]); err != nil {
			return nil, err
		}
	}
	result.Effect = PairedEffect(result.Arms[Reviewed].TestMetric, full.TestMetric)
	if dropped != nil && len(dropped.TestMetric) == c.Seeds {
		result.Arms[Dropped] = dropped
		over := PairedEffect(result.Arms[Reviewed].TestMetric, dropped.TestMetric)
		result.OverDropped = &over
	}
	return result, nil
}

// revised returns the data with the new labels of an amendment, which must be of training samples.
func (d *Data) revised(a Amendment) (*Data, error) {
	if len(a.Kept) == 0 {
		return nil, usagef("the decisions drop all %d training samples", len(d.Split.Train))
	}
	training := make(map[int]bool, len(d.Split.Train))
	for _, i := range d.Split.Train {
		training[i] = true
	}
	images := *d.Images
	images.Labels = slices.Clone(images.Labels)
	for i, label := range a.Labels {
		if !training[i] || label < 0 || label >= len(images.Classes) {
			return nil, fmt.Errorf("the new label %d of position %d: no training sample or no class", label, i)
		}
		images.Labels[i] = label
	}
	for _, i := range a.Kept {
		if !training[i] {
			return nil, fmt.Errorf("position %d is kept, but is no training sample", i)
		}
	}
	copied := *d
	copied.Images = &images
	return &copied, nil
}

// digest tells amendments apart in the store.
func (a Amendment) digest() string {
	h := sha256.New()
	fmt.Fprintln(h, a.Kept)
	for _, i := range slices.Sorted(maps.Keys(a.Labels)) {
		fmt.Fprintln(h, i, a.Labels[i])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
