package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go/format"
)

// parquetShard is a file of a set.
type parquetShard struct {
	path, name string // as it is opened, and for messages
	part       string // train, test, ..., the name of the part
	test       bool
	file       *parquetFile
	columns    parquetColumns
}

// parquetColumns are the numbers of the columns in a shard, -1 where there is none. Either image, of bytes, or path is there.
type parquetColumns struct {
	image, path, label, split int
	classes                   []string // declared names of the numbers in label, or nil
}

// class returns the number that a label is.
func (c *parquetColumns) class(label string) (int, error) {
	k, err := strconv.Atoi(label)
	if err != nil || k < 0 || k >= len(c.classes) {
		return 0, fmt.Errorf("label %s is out of range: %d classes", label, len(c.classes))
	}
	return k, nil
}

// listParquet lists the images of a Parquet file, or of the files in a folder, as the library datasets of Hugging Face writes
// them: an image a row, as bytes in a column or in the field bytes of a struct, and a label that is text or an integer. Integers
// are the numbers of the classes that the files declare, if they do. Where there is no such column, there is one of paths, as in
// a manifest. Ids are train/00000 and so on, by part and the number of the row in it; those of paths are the paths.
func listParquet(ctx context.Context, path string, o PictureOptions) (*collection, error) {
	shards, err := findShards(path)
	if err != nil {
		return nil, err
	}
	for k := range shards {
		s := &shards[k]
		if s.file, err = openParquet(s.path); err != nil {
			return nil, err
		}
		if s.columns, err = s.file.pick(o.Columns); err != nil {
			return nil, &InputError{Path: s.path, Err: err}
		}
		if first := shards[0].columns; (first.image < 0) != (s.columns.image < 0) || !slices.Equal(first.classes, s.columns.classes) {
			return nil, inputErrorf(s.path, "its columns, or the classes that it declares, are not those of %s", shards[0].name)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if shards[0].columns.image < 0 {
		return listParquetPaths(ctx, path, shards, o)
	}
	c := &collection{path: path, name: strings.TrimSuffix(setName(path), parquetSuffix)}
	album := &parquetAlbum{}
	c.album = album
	counts := map[string]int{}
	var labels []string
	for _, s := range shards {
		album.shards, album.first = append(album.shards, s), append(album.first, len(c.pictures))
		err := s.records(ctx, func(row int64, label, split string) (err error) {
			part, test := s.part, s.test
			if s.columns.split >= 0 {
				if test, err = isTest(split); err != nil {
					return err
				}
				part = strings.ToLower(strings.TrimSpace(split))
			}
			class := 0
			if s.columns.classes == nil {
				labels = append(labels, label)
			} else if class, err = s.columns.class(label); err != nil {
				return err
			}
			c.pictures = append(c.pictures, picture{id: part, where: fmt.Sprintf("%s, record %d", s.name, row), class: class, test: test})
			counts[part]++
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	ids := map[string][]string{}
	for part, n := range counts {
		ids[part] = sequentialIDs(part, n)
	}
	for i := range c.pictures {
		part := c.pictures[i].id
		c.pictures[i].id, ids[part] = ids[part][0], ids[part][1:]
	}
	if c.classes = shards[0].columns.classes; c.classes == nil {
		c.label(labels)
	}
	return c, nil
}

// listParquetPaths lists the images whose paths the shards hold.
func listParquetPaths(ctx context.Context, path string, shards []parquetShard, o PictureOptions) (*collection, error) {
	list, err := newPathList(shards[0].path, o)
	if err != nil {
		return nil, err
	}
	for _, s := range shards {
		if filepath.Dir(s.path) != filepath.Dir(shards[0].path) {
			list.album.close()
			return nil, inputErrorf(s.path, "holds paths of images and lies in another folder than %s: to which they are relative is not clear", shards[0].name)
		}
		var paths []string
		err := s.file.texts(ctx, s.columns.path, func(_ int64, name string) error { paths = append(paths, name); return nil })
		if err == nil {
			err = s.records(ctx, func(row int64, label, split string) error {
				if s.columns.classes != nil {
					k, err := s.columns.class(label)
					if err != nil {
						return err
					}
					label = s.columns.classes[k]
				}
				if s.columns.split < 0 {
					split = s.part
				}
				where := fmt.Sprintf("record %d", row)
				if len(shards) > 1 {
					where = s.name + ", " + where
				}
				return list.add(where, paths[row], label, split, true)
			})
		}
		if err != nil {
			list.album.close()
			return nil, err
		}
	}
	list.file = path
	return list.collection(), nil
}

// pick finds the columns that are needed.
func (p *parquetFile) pick(c Columns) (at parquetColumns, err error) {
	var names []string
	for _, column := range p.columns {
		names = append(names, column.name)
	}
	at.image, at.path = -1, -1
	for _, name := range p.imageNames(c) {
		for _, column := range []string{name + ".bytes", name} {
			k := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, column) })
			if at.image < 0 && k >= 0 && p.columns[k].kind == format.ByteArray && !p.columns[k].text {
				at.image = k
			}
		}
	}
	switch {
	case at.image >= 0:
	case c.Image != "":
		return at, fmt.Errorf("has no column %q of images; its columns are %s", c.Image, listed(names))
	default:
		if at.path, err = pickColumn(names, c.Path, usualPaths); err != nil {
			return at, err
		}
	}
	if at.label, err = pickColumn(names, c.Label, append(slices.Clone(usualLabels), p.features("ClassLabel")...)); err != nil {
		return at, err
	}
	if at.split, err = pickColumn(names, c.Split, usualSplits); err != nil {
		return at, err
	}
	switch {
	case at.image < 0 && at.path < 0:
		return at, fmt.Errorf("no column holds images, or paths of images; its columns are %s (--data-columns image=COLUMN or path=COLUMN names it)", listed(names))
	case at.label < 0:
		return at, errNoColumn("label", usualLabels, names)
	}
	for _, k := range []int{at.image, at.path, at.label, at.split} {
		if k >= 0 && p.columns[k].repeated {
			return at, fmt.Errorf("column %s holds lists, not one value a row", names[k])
		}
	}
	at.classes = p.classNames(names[at.label])
	if kind := p.columns[at.label].kind; kind != format.Int32 && kind != format.Int64 {
		at.classes = nil // they are named already
	}
	return at, nil
}

// imageNames are the names that a column of images may have: none where a column of paths is asked for.
func (p *parquetFile) imageNames(c Columns) []string {
	switch {
	case c.Image != "":
		return []string{c.Image}
	case c.Path != "":
		return nil
	}
	return append(slices.Clone(usualImages), p.features("Image")...)
}

// records calls visit with the label and the split of every row.
func (s *parquetShard) records(ctx context.Context, visit func(row int64, label, split string) error) error {
	var splits []string
	if s.columns.split >= 0 {
		err := s.file.texts(ctx, s.columns.split, func(_ int64, text string) error { splits = append(splits, text); return nil })
		if err != nil {
			return err
		}
	}
	return s.file.texts(ctx, s.columns.label, func(row int64, text string) error {
		label, err := cleanLabel(text)
		if err != nil {
			return err
		}
		split := ""
		if splits != nil {
			split = splits[row]
		}
		return visit(row, label, split)
	})
}

// texts calls visit with every value of a column of text, integers or truth values, as text. One that is missing, and an
// error of visit, are errors of the record.
func (p *parquetFile) texts(ctx context.Context, column int, visit func(row int64, text string) error) error {
	// Equal texts share their memory: there are few labels.
	seen := map[string]string{}
	intern := func(b []byte) string {
		if s, ok := seen[string(b)]; ok {
			return s
		}
		s := string(b)
		if len(seen) < 1<<16 {
			seen[s] = s
		}
		return s
	}
	c := p.columns[column]
	return p.scan(ctx, column, func(first int64, v *parquetValues) error {
		for k := range v.n {
			var text string
			switch {
			case v.missing(k):
				return p.recordError(first+int64(k), fmt.Errorf("its %s is missing", c.name))
			case c.kind == format.ByteArray:
				text = intern(v.bytes[k])
			case c.kind == format.Boolean:
				text = strconv.FormatBool(v.numbers[k] != 0)
			default:
				text = intern(strconv.AppendInt(nil, v.numbers[k], 10))
			}
			if err := visit(first+int64(k), text); err != nil {
				return p.recordError(first+int64(k), err)
			}
		}
		return nil
	})
}

func (p *parquetFile) recordError(row int64, err error) error {
	return inputErrorf(p.path, "record %d: %w", row, err)
}

// parquetAlbum is an album of images in columns of Parquet files.
type parquetAlbum struct {
	shards []parquetShard
	first  []int // the picture that is the first row of each shard
}

func (a *parquetAlbum) close() error { return nil }

// each implements album. A page of images is in memory at a time.
func (a *parquetAlbum) each(ctx context.Context, pictures []picture, look func(i int, content io.Reader) error) error {
	for k, s := range a.shards {
		err := s.file.scan(ctx, s.columns.image, func(row int64, v *parquetValues) error {
			inParallel(ctx, v.n, func(j int) {
				i := a.first[k] + int(row) + j
				switch {
				case pictures[i].err != nil:
				case v.missing(j):
					pictures[i].err = errors.New("has no bytes")
				case len(v.bytes[j]) == 0:
					pictures[i].err = errors.New("is empty")
				default:
					pictures[i].err = look(i, bytes.NewReader(v.bytes[j]))
				}
			})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
