package dataset

import (
	"context"
	"crypto/sha256"
	"sync"
)

// Inspection is what a person should know of a data set before anything is trained on it; see [Inspect].
type Inspection struct {
	Name     string   `json:"name"`
	Height   int      `json:"height"`
	Width    int      `json:"width"`
	Channels int      `json:"channels"`
	Classes  []string `json:"classes"`
	// Train tells of the images to train on and to choose by, Test of the official test set, nil where there is none.
	Train *PartInspection `json:"train"`
	Test  *PartInspection `json:"test,omitempty"`
	// Copies lists the images that occur more than once, in the order of their first ones, training images first; Duplicates
	// counts them.
	Copies     []Copies   `json:"copies"`
	Duplicates Duplicates `json:"duplicates"`
	// Notes are those of the sets.
	Notes []string `json:"notes,omitempty"`
}

// PartInspection is what there is to say of the training or the test set.
type PartInspection struct {
	Images   int   `json:"images"`
	PerClass []int `json:"per_class"`
	// Mean and Std are those of each channel, in units of pixel/255. Std is the population's, 0 for a channel without variation.
	Mean []float64 `json:"mean"`
	Std  []float64 `json:"std"`
	// NearBlank lists the ids of images whose contrast is below [BlankContrast].
	NearBlank []string `json:"near_blank"`
}

// Inspect looks at every image of a training set and of its test set, which may be nil: how many of each class, channel
// statistics, near-blank images, and images whose pixels are the same bytes, which it tells by their SHA-256. The two sets
// must agree in size, channels and classes, and be valid; see [Images.Validate]. The error is that of
// a cancelled ctx or of a disk. The result does not depend on the number of processors.
func Inspect(ctx context.Context, train, test *Images) (*Inspection, error) {
	r := &Inspection{
		Name: train.Name, Height: train.Height, Width: train.Width, Channels: train.Channels, Classes: train.Classes,
		Notes: train.Notes,
	}
	var digests [2][]digest
	var err error
	if r.Train, digests[0], err = inspectPart(ctx, train); err != nil {
		return nil, err
	}
	if test != nil {
		if r.Test, digests[1], err = inspectPart(ctx, test); err != nil {
			return nil, err
		}
		r.Notes = append(r.Notes[:len(r.Notes):len(r.Notes)], test.Notes...)
	}
	r.Copies = findCopies(train, test, digests)
	r.Duplicates = countDuplicates(r.Copies)
	return r, nil
}

// digest is the hash of an image's pixels.
type digest = [sha256.Size]byte

// inspectChunk is how many images a worker looks at between two additions to the common counts.
const inspectChunk = 64

func inspectPart(ctx context.Context, s *Images) (*PartInspection, []digest, error) {
	n := s.Len()
	digests, blank := make([]digest, n), make([]bool, n)
	values := make([][256]int64, s.Channels)
	var adding sync.Mutex
	inParallel(ctx, (n+inspectChunk-1)/inspectChunk, func(chunk int) {
		counts := make([][256]int64, s.Channels)
		for i := chunk * inspectChunk; i < min(n, (chunk+1)*inspectChunk); i++ {
			pix, loan := s.lend(i)
			digests[i] = sha256.Sum256(pix)
			for c := range counts {
				for k := c; k < len(pix); k += s.Channels {
					counts[c][pix[k]]++
				}
			}
			s.takeBack(loan)
			blank[i] = s.Contrast(i) < BlankContrast
		}
		adding.Lock()
		defer adding.Unlock()
		for c := range counts {
			for v, count := range counts[c] {
				values[c][v] += count
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if err := s.Err(); err != nil {
		return nil, nil, err
	}
	p := &PartInspection{Images: n, PerClass: make([]int, len(s.Classes)), NearBlank: []string{}}
	for i, label := range s.Labels {
		p.PerClass[label]++
		if blank[i] {
			p.NearBlank = append(p.NearBlank, s.IDs[i])
		}
	}
	for c := range values {
		mean, std := histogramStats(&values[c])
		p.Mean, p.Std = append(p.Mean, mean/255), append(p.Std, std/255)
	}
	return p, digests, nil
}
