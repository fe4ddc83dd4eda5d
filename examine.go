package datadropout

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/train"
)

// Examined holds what was found out about the samples that a page shows: the most harmful and the most helpful.
type Examined struct {
	// Harmful and Helpful hold places in the training split, the most extreme first.
	Harmful, Helpful []int
	// Samples has an entry for each of Harmful; nil in denoising.
	Samples []Examination
	// In denoising Patches has an entry for each of Harmful and then each of Helpful, of which no two of the same list share a pixel, and
	// Test is a test image.
	Patches []ExaminedPatch
	Test    *ExaminedImage
	// References is the number of training samples that neighbors were looked for among and that ranks are over.
	References int
}

// Examination is what was found out about one training sample. Positions are positions in Data.Images.
type Examination struct {
	// Neighbors and ClassNeighbors are the nearest samples, and the nearest of its label, in the penultimate features of the
	// round-1 model of the first seed; nil where the network has none. The features are scaled to length 1, so that
	// distances lie in 0..2.
	Neighbors, ClassNeighbors []Neighbor
	// Isolation is the share of the references that lie nearer to their tenth neighbor than this sample does; 0 without features.
	Isolation float64
	// Copies are the other training samples with the very pixels of this one, and NearCopies those neighbors that differ from
	// it by less than nearCopy.
	Copies, NearCopies []int
	// Contrast and Sharpness are those of the picture (see [dataset.Images]), and ContrastRank and SharpnessRank the shares of
	// the references that have less.
	Contrast, Sharpness         float64
	ContrastRank, SharpnessRank float64
	// Hurts are the score samples whose loss a small step of training on this sample raises most, by the products of the
	// gradients at the round-1 model of the first seed; computed for the first mostProducts samples.
	Hurts []Hurt
}

// Neighbor is a training sample near another one.
type Neighbor struct {
	Position int
	Distance float64
}

// Hurt is a score sample, the product of its gradient with that of a training sample, below zero, and the class that round 1
// predicts for it.
type Hurt struct {
	Position  int
	Product   float64
	Predicted int
}

const (
	// shownSamples is how many of the most harmful and of the most helpful samples are examined to be shown.
	shownSamples = 20
	// nearestNeighbors is how many neighbors are kept of each kind.
	nearestNeighbors = 10
	// nearCopy is the pixel distance below which two pictures are taken for the same one: noise of compression.
	nearCopy = 0.02
	// mostReferences and mostFeatureValues bound the search for neighbors, and isolationReferences the samples whose
	// isolation is compared.
	mostReferences      = 10_000
	mostFeatureValues   = 1 << 24
	isolationReferences = 256
	// mostProducts, mostProductScores and mostHurts bound the products of gradients.
	mostProducts      = 12
	mostProductScores = 256
	mostHurts         = 4
)

// examine looks closely at the samples to show. In classification it reads no test sample.
func (r *runner) examine(ctx context.Context) error {
	if r.data.Patches != nil {
		return r.examinePatches(ctx)
	}
	order := MostHarmful(r.out.Estimates.Delta)
	n := min(shownSamples, len(order))
	x := &r.out.Examined
	x.Harmful, x.Helpful = order[:n:n], slices.Clone(order[len(order)-n:])
	slices.Reverse(x.Helpful)
	x.Samples = make([]Examination, n)
	piece := Event{Type: "start", Stage: StageExamine, Kind: KindExamination, Part: 1, Parts: 1, What: fmt.Sprintf("the %d most harmful samples", n)}
	r.observe.emit(piece)
	began := time.Now()

	m, _, _, err := r.store.Model(armKey(Full, 0))
	if err != nil {
		return err
	}
	references := spread(r.data.Split.Train, mostReferences)
	r.examinePictures(references)
	if references, err = r.examineNeighbors(ctx, m, references); err != nil {
		return err
	}
	x.References = len(references)
	if err := r.examineHurts(ctx, m); err != nil {
		return err
	}
	piece.Type, piece.Fraction, piece.Seconds = "done", 1, time.Since(began).Seconds()
	r.observe.emit(piece)
	return nil
}

// spread returns at most n of the positions, evenly spread over them.
func spread(positions []int, n int) []int {
	if len(positions) <= n {
		return positions
	}
	out := make([]int, n)
	for k := range out {
		out[k] = positions[k*len(positions)/n]
	}
	return out
}

// examinePictures looks at the pixels of the harmful samples, beside those of the references.
func (r *runner) examinePictures(references []int) {
	images := r.data.Images
	references = spread(references, isolationReferences*4)
	contrast, sharpness := make([]float64, len(references)), make([]float64, len(references))
	for k, i := range references {
		contrast[k], sharpness[k] = images.Contrast(i), images.Sharpness(i)
	}
	var harmful [][]uint8
	for k, place := range r.out.Examined.Harmful {
		i := r.data.Split.Train[place]
		e := &r.out.Examined.Samples[k]
		e.Contrast, e.Sharpness = images.Contrast(i), images.Sharpness(i)
		e.ContrastRank, e.SharpnessRank = shareBelow(contrast, e.Contrast), shareBelow(sharpness, e.Sharpness)
		harmful = append(harmful, images.Pixels(i))
	}
	for _, j := range r.data.Split.Train { // once each: they may be on disk
		pixels := images.Pixels(j)
		for k, place := range r.out.Examined.Harmful {
			if j != r.data.Split.Train[place] && slices.Equal(pixels, harmful[k]) {
				r.out.Examined.Samples[k].Copies = append(r.out.Examined.Samples[k].Copies, j)
			}
		}
	}
}

// shareBelow returns the share of the values that lie below v.
func shareBelow(values []float64, v float64) float64 {
	n := 0
	for _, x := range values {
		if x < v {
			n++
		}
	}
	return float64(n) / float64(len(values))
}

// examineNeighbors finds the neighbors of the harmful samples among the references, of which it returns those that it used.
func (r *runner) examineNeighbors(ctx context.Context, m *train.Model, references []int) ([]int, error) {
	images, x := r.data.Images, &r.out.Examined
	wanted := r.positions(x.Harmful)
	rows, width, err := r.engine.Features(ctx, m, images, wanted)
	if err != nil || width == 0 {
		return references, err
	}
	references = spread(references, max(1, mostFeatureValues/width))
	all, _, err := r.engine.Features(ctx, m, images, references)
	if err != nil {
		return nil, err
	}
	own, index := newFeatures(rows, width, wanted), newFeatures(all, width, references)
	var isolation []float64
	for _, k := range spread(positions(0, len(references)), isolationReferences) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		isolation = append(isolation, farthest(index.nearest(index.row(k), nearestNeighbors, func(j int) bool { return j != references[k] })))
	}
	for k, i := range wanted {
		e := &x.Samples[k]
		e.Neighbors = index.nearest(own.row(k), nearestNeighbors, func(j int) bool { return j != i })
		e.ClassNeighbors = index.nearest(own.row(k), nearestNeighbors, func(j int) bool { return j != i && images.Labels[j] == images.Labels[i] })
		e.Isolation = shareBelow(isolation, farthest(e.Neighbors))
		for _, n := range e.Neighbors {
			if !slices.Contains(e.Copies, n.Position) && images.PixelDistance(i, n.Position) < nearCopy {
				e.NearCopies = append(e.NearCopies, n.Position)
			}
		}
	}
	return references, nil
}

// examineHurts finds the score samples that the most harmful samples pull away from their labels.
func (r *runner) examineHurts(ctx context.Context, m *train.Model) error {
	x := &r.out.Examined
	score := spread(r.data.Split.Score, mostProductScores)
	evaluation, err := r.evaluate(ctx, m, Full, 0, splitScore, score)
	if err != nil {
		return err
	}
	products, err := r.tools.products(ctx, &influence.Problem{
		Backend: r.backend, Net: r.network, Loss: train.CrossEntropy{}, Model: m, Recipe: r.recipe, Source: r.data.Images,
		Train: r.positions(x.Harmful[:min(len(x.Harmful), mostProducts)]), Score: score,
	})
	if err != nil {
		return err
	}
	for k, row := range products {
		for _, j := range MostHarmful(row)[:min(len(row), mostHurts)] {
			if row[j] >= 0 {
				break
			}
			h := Hurt{Position: score[j], Product: row[j], Predicted: -1}
			if evaluation.Predicted != nil {
				h.Predicted = evaluation.Predicted[j]
			}
			x.Samples[k].Hurts = append(x.Samples[k].Hurts, h)
		}
	}
	return nil
}
