package datadropout

import (
	"context"
	"errors"

	"github.com/datadropout/datadropout/dataset"
)

// Inspected is a data set as it is before a run splits it or plants label noise, and what was found in it.
type Inspected struct {
	*dataset.Inspection
	// Train holds the images that a run splits, Test the official test set, nil where there is none.
	Train, Test *dataset.Images
	// Unreadable lists the images of a person's own that can't be read, and are left out of all else.
	Unreadable []dataset.Unreadable
	// Sizes tells of the sizes of a person's own images before they are brought to one; nil for other sets, whose images all have one.
	Sizes *dataset.SizeRange
}

// InspectData reads or draws the data set that the settings name, as [LoadData] does, and looks at every image; see
// [dataset.Inspect]. Images that can't be read are listed, whether or not the settings say to leave them out. The error is
// a [*dataset.UnreadableError] where too few are left. What is found is to be closed.
func InspectData(ctx context.Context, c *Config) (_ *Inspected, err error) {
	r := &Inspected{}
	switch {
	case c.Data == proceduralSet:
		sizes := withDefaults(dataset.Sizes{Train: c.Train, Score: c.Score, Tune: c.Tune, Test: c.Test}, proceduralSizes)
		r.Train = dataset.Shapes(sizes.Train+sizes.Score+sizes.Tune+sizes.Test, c.Seed)
	case c.ofPictures():
		p, err := readablePictures(ctx, c)
		if err != nil {
			return nil, err
		}
		r.Train, r.Test, r.Unreadable, r.Sizes = p.Train, p.Test, p.Skipped, &p.Sizes
	default:
		if r.Train, r.Test, err = openNamed(c); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			_ = r.Close()
		}
	}()
	for _, s := range []*dataset.Images{r.Train, r.Test} {
		if s == nil {
			continue
		}
		if err := s.Validate(); err != nil {
			return nil, err
		}
	}
	if r.Inspection, err = dataset.Inspect(ctx, r.Train, r.Test); err != nil {
		return nil, err
	}
	if r.Sizes != nil {
		r.Notes = nil // they say in words what the inspection holds
	}
	return r, nil
}

// Close removes what the images keep on disk.
func (r *Inspected) Close() error { return r.Train.Close() }

// readablePictures reads images of a person's own without those that can't be read. Where nothing can be made of the rest, and
// they were not to be left out, they are the error.
func readablePictures(ctx context.Context, c *Config) (*dataset.Pictures, error) {
	without := *c
	without.SkipUnreadable = true
	p, err := openPictures(ctx, &without)
	if err == nil || ctx.Err() != nil || c.SkipUnreadable {
		return p, err
	}
	var unreadable *dataset.UnreadableError
	if _, whole := openPictures(ctx, c); errors.As(whole, &unreadable) {
		return nil, whole
	}
	return nil, err
}
