package datadropout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"

	"github.com/datadropout/datadropout/internal/precision"
)

// What a store keeps says what it was made of: where settings have changed since, or a rule proposes other samples, the same key
// stands for another training.

// trainingOf identifies a training on the samples idx with their labels, beside the version and the data that the store is
// bound to.
func (r *runner) trainingOf(by *trainer, idx []int, seed uint64) string {
	return digest(func(h hash.Hash) {
		recipe, _ := json.Marshal(by.recipe) // a recipe that was validated has no number that JSON lacks
		fmt.Fprintf(h, "%s\n%s\n%s\n%d\n", r.config.Backend, by.network.Name, recipe, seed)
		if p := r.config.Precision; p != precision.Float32 {
			fmt.Fprintln(h, p)
		}
		if r.data.Patches != nil {
			// The settings that patches are made by; which images they are of is in the hash of the data.
			patches, _ := json.Marshal(r.config.deciding().Denoise)
			fmt.Fprintf(h, "%s\n", patches)
		}
		for _, i := range idx {
			fmt.Fprintln(h, i)
			if r.data.Images == nil {
				continue
			}
			if labels := r.data.Images.Labels; len(labels) > i {
				fmt.Fprintln(h, labels[i])
			}
		}
	})
}

// scoresOf identifies the scores by the model of seed number k.
func (r *runner) scoresOf(k int) string {
	return digest(func(h hash.Hash) {
		c := r.config.deciding()
		options, _ := json.Marshal(c.Influence.WithDefaults(c.Estimator)) // as above
		fmt.Fprintf(h, "%s\n%s\n%d\n%d\n", c.Estimator, options, c.ScoreFolds, c.Seed)
		if r.data.Patches != nil && c.ScoreFolds > 1 {
			fmt.Fprintln(h, "folds of images")
		}
		fmt.Fprintln(h, r.trainingOf(r.scored, r.data.Split.Train, r.seed(k)))
	})
}

func digest(write func(hash.Hash)) string {
	h := sha256.New()
	write(h)
	return hex.EncodeToString(h.Sum(nil)[:16])
}
