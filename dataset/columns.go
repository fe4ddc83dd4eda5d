package dataset

import (
	"fmt"
	"slices"
	"strings"
)

// Columns names the columns of a manifest or of Parquet files. An empty name means the first of the usual ones that is there:
//
//	Path:  path, file, filename, file_name, filepath, file_path, image_path, image_file, image_name, image, img
//	Label: label, class, target, category, fine_label, class_name, class_label, labels, y
//	Split: split, subset, partition, set
//	Image: image, img, picture, photo
//
// Usual names are told without regard to case. Image, of Parquet files only, holds the images themselves: bytes, or a struct that
// has a field bytes.
type Columns struct{ Path, Label, Split, Image string }

var (
	usualPaths  = []string{"path", "file", "filename", "file_name", "filepath", "file_path", "image_path", "image_file", "image_name", "image", "img"}
	usualLabels = []string{"label", "class", "target", "category", "fine_label", "class_name", "class_label", "labels", "y"}
	usualSplits = []string{"split", "subset", "partition", "set"}
	usualImages = []string{"image", "img", "picture", "photo"}
)

// ParseColumns reads columns as path=COLUMN,label=COLUMN, with split and image in the same way.
func ParseColumns(s string) (Columns, error) {
	var c Columns
	if s == "" {
		return c, nil
	}
	for _, term := range strings.Split(s, ",") {
		what, name, ok := strings.Cut(term, "=")
		to := map[string]*string{"path": &c.Path, "label": &c.Label, "split": &c.Split, "image": &c.Image}[what]
		if !ok || to == nil || name == "" || *to != "" {
			return Columns{}, fmt.Errorf("want columns as path=COLUMN,label=COLUMN, and split or image in the same way, each once, got %q", s)
		}
		*to = name
	}
	return c, nil
}

// pickColumn returns the number of the column with the name, or, where it is empty, of the first usual one. It is -1 where there
// is none of the usual ones.
func pickColumn(columns []string, name string, usual []string) (int, error) {
	if name != "" {
		if k := slices.Index(columns, name); k >= 0 {
			return k, nil
		}
		return 0, fmt.Errorf("has no column %q; its columns are %s", name, listed(columns))
	}
	for _, name := range usual {
		if k := slices.IndexFunc(columns, func(c string) bool { return strings.EqualFold(c, name) }); k >= 0 {
			return k, nil
		}
	}
	return -1, nil
}

// errNoColumn says that no column is known to hold what is needed.
func errNoColumn(what string, usual, columns []string) error {
	return fmt.Errorf("no column is named as one of %ss is, such as %s; its columns are %s (--data-columns %s=COLUMN names it)",
		what, strings.Join(usual[:2], " or "), listed(columns), what)
}

// listed lists the first columns.
func listed(columns []string) string {
	const shown = 20
	var b strings.Builder
	for k, c := range columns {
		if k == shown {
			return fmt.Sprintf("%s and %d more", b.String(), len(columns)-k)
		}
		if k > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%.60q", c)
	}
	return b.String()
}
