package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
)

// Content is what report.html shows beside the numbers of result.json: the content of page.json. It holds the thumbnails of
// the samples shown, so that the page can be made again, or served, without the data. Its size does not grow with the data.
type Content struct {
	Schema int `json:"schema"`
	// Version is that of the program that made the run.
	Version string `json:"version"`
	// Recipe is the training recipe in words.
	Recipe string `json:"recipe"`
	// Classes are the names of the classes.
	Classes []string `json:"classes"`
	// Data is what people call the data; empty in files of older versions.
	Data string `json:"data,omitempty"`
	// Calibrated says that delta predicts in loss units.
	Calibrated bool `json:"calibrated"`
	// Curves holds the mean training loss of every epoch, a list a seed in every arm.
	Curves map[string][][]float64 `json:"curves"`
	// PerClass has an entry a class, and Confusions the pairs whose count changed most.
	PerClass   []ClassLine     `json:"per_class"`
	Confusions []ConfusionLine `json:"confusions"`
	Histogram  Histogram       `json:"histogram"`
	// References is the number of training samples that neighbors and ranks are among.
	References int `json:"references"`
	// Harmful and Helpful are the samples shown, the most extreme first.
	Harmful []Sample `json:"harmful"`
	Helpful []Sample `json:"helpful"`
	// Denoising holds what the page of a run of denoising shows in place of classes and samples; else it is nil.
	Denoising *DenoisingContent `json:"denoising,omitempty"`

	// Result is that of result.json, which is a file of its own.
	Result datadropout.Result `json:"-"`
}

// Reference names a sample.
type Reference struct {
	// Index is the record's number in the training files.
	Index int    `json:"index"`
	ID    string `json:"id"`
	Label int    `json:"label"`
}

// Sample is a training sample that the page shows.
type Sample struct {
	Reference
	Predicted int `json:"predicted"`
	// Original is the label before one was planted, and Label where none was.
	Original      int                `json:"original"`
	Delta         float64            `json:"delta"`
	StandardError datadropout.Number `json:"standard_error"`
	TrainLoss     float64            `json:"train_loss"`
	Dropped       bool               `json:"dropped"`
	Picture       []byte             `json:"picture"`
	// Facts are those of a harmful sample.
	Facts *Facts `json:"facts,omitempty"`
}

// Facts are what was found out about a harmful sample; see [datadropout.Examination].
type Facts struct {
	Neighbors      []Nearby `json:"neighbors,omitempty"`
	ClassNeighbors []Nearby `json:"class_neighbors,omitempty"`
	// NeighborLabels are the labels of all neighbors, the nearest first; of these Neighbors shows the first.
	NeighborLabels []int       `json:"neighbor_labels,omitempty"`
	Isolation      float64     `json:"isolation"`
	Copies         []Reference `json:"copies,omitempty"`
	NearCopies     []Reference `json:"near_copies,omitempty"`
	Contrast       float64     `json:"contrast"`
	ContrastRank   float64     `json:"contrast_rank"`
	Sharpness      float64     `json:"sharpness"`
	SharpnessRank  float64     `json:"sharpness_rank"`
	Hurts          []Nearby    `json:"hurts,omitempty"`
}

// Nearby is a sample that is shown beside another one: a neighbor at a distance, or a score sample that it hurts by a product
// of gradients.
type Nearby struct {
	Reference
	Distance float64 `json:"distance,omitempty"`
	Product  float64 `json:"product,omitempty"`
	// Predicted is the class that round 1 predicts, -1 where it was not asked.
	Predicted int    `json:"predicted"`
	Picture   []byte `json:"picture"`
}

const (
	contentSchema = 1
	// shownNearby is how many samples of each kind are shown beside a harmful one, and mostCopies how many copies are named.
	shownNearby = 4
	mostCopies  = 8
	// mostClasses bounds the table of classes.
	mostClasses = 100
)

// NewContent gathers what the page of a finished run shows.
func NewContent(o *datadropout.Outcome) (*Content, error) {
	c := &Content{
		Schema: contentSchema, Version: datadropout.Version(), Data: o.Config.DataName(), Classes: o.Data.Classes(), Calibrated: o.Calibrated,
		Recipe: recipeWords(o.Config), Curves: o.Curves, References: o.Examined.References, Result: o.Result,
		Histogram: newHistogram(o),
	}
	if o.Data.Patches != nil {
		var err error
		c.Denoising, err = newDenoisingContent(o)
		return c, err
	}
	c.PerClass, c.Confusions = classLines(o), confusionLines(o)
	dropped := make(map[int]bool, len(o.Dropped))
	for _, p := range o.Dropped {
		dropped[p] = true
	}
	for k, place := range o.Examined.Harmful {
		s, err := newSample(o, place, dropped)
		if err != nil {
			return nil, err
		}
		if s.Facts, err = newFacts(o, o.Examined.Samples[k]); err != nil {
			return nil, err
		}
		c.Harmful = append(c.Harmful, s)
	}
	for _, place := range o.Examined.Helpful {
		s, err := newSample(o, place, dropped)
		if err != nil {
			return nil, err
		}
		c.Helpful = append(c.Helpful, s)
	}
	return c, nil
}

func recipeWords(c datadropout.Config) string {
	return fmt.Sprintf("%s of batches of %d, learning rate %g (%s), momentum %g, weight decay %g",
		Counted(c.Recipe.Epochs, "epoch"), c.Recipe.BatchSize, c.Recipe.LearningRate, c.Recipe.Schedule, c.Recipe.Momentum, c.Recipe.WeightDecay)
}

func newReference(images *dataset.Images, position int) Reference {
	return Reference{Index: position, ID: images.ID(position), Label: images.Labels[position]}
}

func newReferences(images *dataset.Images, positions []int) []Reference {
	var out []Reference
	for _, p := range positions[:min(len(positions), mostCopies)] {
		out = append(out, newReference(images, p))
	}
	return out
}

func newSample(o *datadropout.Outcome, place int, dropped map[int]bool) (Sample, error) {
	images, p := o.Data.Images, o.Data.Split.Train[place]
	s := Sample{
		Reference: newReference(images, p), Predicted: o.Predicted[place], Original: images.Labels[p],
		Delta: o.Estimates.Delta[place], StandardError: datadropout.Number(math.NaN()), TrainLoss: float64(o.TrainLoss[place]), Dropped: dropped[p],
	}
	if images.Original != nil {
		s.Original = images.Original[p]
	}
	if o.Estimates.StandardError != nil {
		s.StandardError = datadropout.Number(o.Estimates.StandardError[place])
	}
	var err error
	s.Picture, err = thumbnail(images.Image(p), gallerySide)
	return s, err
}

func newFacts(o *datadropout.Outcome, e datadropout.Examination) (*Facts, error) {
	images := o.Data.Images
	f := &Facts{
		Isolation: e.Isolation, Copies: newReferences(images, e.Copies), NearCopies: newReferences(images, e.NearCopies),
		Contrast: e.Contrast, ContrastRank: e.ContrastRank, Sharpness: e.Sharpness, SharpnessRank: e.SharpnessRank,
	}
	for _, n := range e.Neighbors {
		f.NeighborLabels = append(f.NeighborLabels, images.Labels[n.Position])
	}
	nearby := func(list []datadropout.Neighbor) ([]Nearby, error) {
		var out []Nearby
		for _, n := range list[:min(len(list), shownNearby)] {
			picture, err := thumbnail(images.Image(n.Position), neighborSide)
			if err != nil {
				return nil, err
			}
			out = append(out, Nearby{Reference: newReference(images, n.Position), Distance: n.Distance, Predicted: -1, Picture: picture})
		}
		return out, nil
	}
	var err error
	if f.Neighbors, err = nearby(e.Neighbors); err != nil {
		return nil, err
	}
	if f.ClassNeighbors, err = nearby(e.ClassNeighbors); err != nil {
		return nil, err
	}
	for _, h := range e.Hurts[:min(len(e.Hurts), shownNearby)] {
		picture, err := thumbnail(images.Image(h.Position), neighborSide)
		if err != nil {
			return nil, err
		}
		f.Hurts = append(f.Hurts, Nearby{Reference: newReference(images, h.Position), Product: h.Product, Predicted: h.Predicted, Picture: picture})
	}
	return f, nil
}

// ReadContent reads page.json and result.json of a run directory. A directory that holds no finished run, or one of a version
// that kept no page.json, is an error that says so.
func ReadContent(dir string) (*Content, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, &dataset.InputError{Path: dir, Err: errors.New("no such run directory")}
	}
	c := new(Content)
	for _, f := range []struct {
		name string
		into any
	}{{ContentFile, c}, {ResultFile, &c.Result}} {
		path := filepath.Join(dir, f.name)
		raw, err := readFile(dir, f.name)
		if errors.Is(err, os.ErrNotExist) {
			return nil, &dataset.InputError{Path: path, Err: unfinished(dir, "the run is not finished, or an older version made it")}
		}
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, f.into); err != nil {
			return nil, &dataset.InputError{Path: path, Err: fmt.Errorf("not a readable file: %w", err)}
		}
	}
	if err := c.check(); err != nil {
		return nil, &dataset.InputError{Path: filepath.Join(dir, ContentFile), Err: err}
	}
	return c, nil
}

// check reports what does not fit together in a content that was read.
func (c *Content) check() error {
	if c.Schema != contentSchema {
		return fmt.Errorf("schema %d; this program reads %d", c.Schema, contentSchema)
	}
	if (c.Denoising == nil) != (c.Result.Denoising == nil) {
		return fmt.Errorf("it is not of the run that %s is of", ResultFile)
	}
	if c.Denoising != nil {
		if err := c.Denoising.check(); err != nil {
			return err
		}
	}
	label := func(r Reference) error {
		if r.Label < 0 || r.Label >= len(c.Classes) {
			return fmt.Errorf("sample %s: label %d is out of range: %d classes", r.ID, r.Label, len(c.Classes))
		}
		return nil
	}
	for _, s := range append(append([]Sample(nil), c.Harmful...), c.Helpful...) {
		all := []Reference{s.Reference, {ID: s.ID, Label: s.Predicted}, {ID: s.ID, Label: s.Original}}
		if f := s.Facts; f != nil {
			all = append(append(all, f.Copies...), f.NearCopies...)
			for _, l := range f.NeighborLabels {
				all = append(all, Reference{ID: s.ID, Label: l})
			}
			for _, list := range [][]Nearby{f.Neighbors, f.ClassNeighbors, f.Hurts} {
				for _, n := range list {
					all = append(all, n.Reference)
					if n.Predicted != -1 {
						all = append(all, Reference{ID: n.ID, Label: n.Predicted})
					}
				}
			}
		}
		for _, r := range all {
			if err := label(r); err != nil {
				return err
			}
		}
	}
	for _, l := range c.Confusions {
		if max(l.Label, l.Predicted) >= len(c.Classes) || min(l.Label, l.Predicted) < 0 {
			return fmt.Errorf("a confusion of the classes %d and %d: there are %d classes", l.Label, l.Predicted, len(c.Classes))
		}
	}
	return c.Histogram.check()
}

// WritePage makes report.html of a run directory anew.
func WritePage(dir string, c *Content) error {
	page, err := c.Render(nil)
	if err != nil {
		return err
	}
	return writeFiles(dir, durable.File{Name: PageFile, Data: page})
}
