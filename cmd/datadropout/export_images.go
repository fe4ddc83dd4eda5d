package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/export"
	"github.com/datadropout/datadropout/report"
)

// writeImages writes the folder of the kept images and, if asked for, that of the dropped ones.
func (o *exportOptions) writeImages(ctx context.Context, stderr io.Writer) error {
	c := o.config
	dest := cmp.Or(o.copy, o.link)
	isFolder, isManifest := c.Data == dataset.FolderName, c.Data == dataset.ManifestName
	switch {
	case o.link != "" && !isFolder && !isManifest:
		return &datadropout.UsageError{Err: fmt.Errorf("--symlink links files of images, and %s has none: use --copy, which writes PNG", c.Data)}
	case isFolder:
		for _, d := range []string{dest, o.dropped} {
			if d != "" && within(d, c.DataDir) {
				return &datadropout.UsageError{Err: fmt.Errorf("%s lies in the data's own folder, where it would become a part of the data", d)}
			}
		}
	}
	kept, err := report.ReadKept(o.dir)
	if err != nil {
		return err
	}
	data, err := o.load(ctx, &c, stderr)
	if err != nil {
		return err
	}
	defer data.Close()
	amendment := datadropout.Amendment{Kept: kept}
	if o.decisions != "" {
		decisions, err := report.ReadDecisions(o.decisions)
		if err != nil {
			return err
		}
		if amendment, err = report.Revise(data, kept, decisions); err != nil {
			return &dataset.InputError{Path: o.decisions, Err: err}
		}
	} else if review := filepath.Join(o.dir, report.ReviewFile); exists(review) {
		fmt.Fprintf(stderr, "note: the decisions of the review are not applied; that takes --decisions %s\n", review)
	}
	dropped, err := leftOut(data, amendment.Kept)
	if err != nil {
		return &dataset.InputError{Path: filepath.Join(o.dir, report.KeepFile), Err: err}
	}
	set := &export.Set{Images: data.Images, Link: o.link != "", Labels: amendment.Labels, Groups: o.groups(data, amendment.Kept)}
	switch {
	case isFolder:
		set.Folder = c.DataDir
	case isManifest:
		set.Folder, set.Classless = filepath.Dir(c.DataDir), true
	}
	n, err := writeSet(ctx, dest, set, stderr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s: %d images; %d dropped ones left out, %d relabeled\n", dest, n, len(dropped), len(amendment.Labels))
	if o.dropped == "" {
		return nil
	}
	set.Groups = []export.Group{{Positions: dropped}}
	if n, err = writeSet(ctx, o.dropped, set, stderr); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s: %d dropped images\n", o.dropped, n)
	return nil
}

// groups returns what goes into the folder of kept images.
func (o *exportOptions) groups(d *datadropout.Data, kept []int) []export.Group {
	s := d.Split
	switch o.splits {
	case splitsTrain:
		return []export.Group{{Positions: kept}}
	case splitsSeparate:
		return []export.Group{{Name: "train", Positions: kept}, {Name: "val", Positions: slices.Concat(s.Score, s.Tune)}, {Name: "test", Positions: s.Test}}
	}
	return []export.Group{{Positions: slices.Concat(kept, s.Score, s.Tune, s.Test)}}
}

// leftOut returns the training samples that are not kept; a kept one that is none is an error.
func leftOut(d *datadropout.Data, kept []int) ([]int, error) {
	training := make(map[int]bool, len(d.Split.Train))
	for _, p := range d.Split.Train {
		training[p] = true
	}
	for _, p := range kept {
		if !training[p] {
			return nil, fmt.Errorf("index %d is no training sample of this run, or there twice", p)
		}
		delete(training, p)
	}
	return slices.DeleteFunc(slices.Clone(d.Split.Train), func(p int) bool { return !training[p] }), nil
}

// writeSet writes a folder of images, shows how it goes on, and returns how many there are.
func writeSet(ctx context.Context, dest string, set *export.Set, stderr io.Writer) (int, error) {
	entries, err := set.Entries()
	var unsafe *export.UnsafePathError
	if errors.As(err, &unsafe) {
		return 0, &dataset.InputError{Path: cmp.Or(set.Folder, set.Images.Name), Err: err}
	}
	if err != nil {
		return 0, err
	}
	shown := time.Now()
	err = export.WriteTree(ctx, dest, entries, func(done, total int) {
		if done < total && time.Since(shown) > 5*time.Second {
			shown = time.Now()
			fmt.Fprintf(stderr, "%s: %d of %d files\n", dest, done, total)
		}
	})
	return len(entries) - 1, err
}

// within says whether a path lies in the folder, or is it.
func within(path, folder string) bool {
	a, errA := filepath.Abs(path)
	b, errB := filepath.Abs(folder)
	relative, err := filepath.Rel(b, a)
	return errA == nil && errB == nil && err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

func asJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return "" // lists of numbers and texts don't fail
	}
	return string(raw)
}
