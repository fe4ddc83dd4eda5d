package dataset

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// mostManifest bounds a manifest, in bytes: ten million lines have about 0.5 GB.
	mostManifest = 1 << 30
	// longestPath and longestLabel bound what a manifest says of an image, in bytes.
	longestPath, longestLabel = 4096, 1024
)

// listManifest lists the images that a manifest names: a CSV file, or one with tabs or semicolons, whose first line names the
// columns; see [Columns]. A file of two columns without such a line holds paths and labels. Paths are relative to the folder of
// the manifest and may not leave it. Ids are the paths.
func listManifest(ctx context.Context, file string, o PictureOptions) (*collection, error) {
	f, size, err := openRegular(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > mostManifest {
		return nil, inputErrorf(file, "has %d MiB, more than the %d that a manifest may", size>>20, mostManifest>>20)
	}
	list, err := newPathList(file, o)
	if err != nil {
		return nil, err
	}
	if err := readManifest(ctx, bufio.NewReaderSize(f, 1<<16), o.Columns, list); err != nil {
		list.album.close()
		return nil, inputError(file, err)
	}
	return list.collection(), nil
}

// inputError wraps what is wrong with a file, unless the context was cancelled.
func inputError(file string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &InputError{Path: file, Err: err}
}

// readManifest reads the lines of a manifest into the list.
func readManifest(ctx context.Context, r *bufio.Reader, c Columns, list *pathList) error {
	head, err := r.Peek(r.Size())
	switch {
	case len(head) == 0:
		return errors.New("is empty")
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case bytes.IndexByte(head, 0) >= 0:
		return errors.New("is no text")
	}
	if bom := []byte("\ufeff"); bytes.HasPrefix(head, bom) {
		_, _ = r.Discard(len(bom)) // all of it was peeked
		head = head[len(bom):]
	}
	lines := csv.NewReader(r)
	lines.Comma, lines.FieldsPerRecord, lines.ReuseRecord = separator(head), -1, true
	var at manifestColumns
	for first := true; ; first = false {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return manifestError(err)
		}
		if first {
			if at, err = findManifestColumns(fields, c); err != nil {
				return err
			}
			if !at.bare {
				continue
			}
		}
		line, _ := lines.FieldPos(0)
		if len(fields) < at.needed {
			return fmt.Errorf("line %d: %d columns, want %d", line, len(fields), at.needed)
		}
		split := ""
		if at.split >= 0 {
			split = fields[at.split]
		}
		where := fmt.Sprintf("line %d", line)
		if err := list.add(where, fields[at.path], fields[at.label], split, at.split >= 0); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		if len(list.pictures)%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// separator is the one of comma, semicolon and tab that is most frequent in the first line.
func separator(head []byte) rune {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	best, most := ',', 0
	for _, c := range []rune{',', ';', '\t'} {
		if n := bytes.Count(line, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

// manifestColumns are the numbers of the columns, split -1 where there is none.
type manifestColumns struct {
	path, label, split int
	needed             int
	bare               bool // the first line is an image's
}

func findManifestColumns(fields []string, c Columns) (at manifestColumns, err error) {
	for k, f := range fields {
		fields[k] = strings.TrimSpace(f)
	}
	if at.path, err = pickColumn(fields, c.Path, usualPaths); err != nil {
		return at, err
	}
	if at.label, err = pickColumn(fields, c.Label, usualLabels); err != nil {
		return at, err
	}
	if at.split, err = pickColumn(fields, c.Split, usualSplits); err != nil {
		return at, err
	}
	switch {
	case at.path < 0 && at.label < 0 && len(fields) == 2 && isPictureName(fields[0]):
		at = manifestColumns{path: 0, label: 1, split: -1, bare: true}
	case at.path < 0:
		return at, errNoColumn("path", usualPaths, fields)
	case at.label < 0:
		return at, errNoColumn("label", usualLabels, fields)
	}
	at.needed = max(at.path, at.label, at.split) + 1
	return at, nil
}

// manifestError says what is wrong with the form of a line.
func manifestError(err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("line %d: %w", parse.Line, parse.Err)
	}
	return err
}

// pathList collects images by their paths.
type pathList struct {
	file     string
	pictures []picture
	labels   []string
	album    *fileAlbum
	seen     map[string]string // where each path was named first
}

// newPathList starts a list of images below the folder of the file.
func newPathList(file string, o PictureOptions) (*pathList, error) {
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, fileError(filepath.Dir(file), err)
	}
	return &pathList{file: file, album: newFileAlbum(root, o.Memory), seen: map[string]string{}}, nil
}

// add adds an image; where is the record that names it, which errors leave to the caller.
func (l *pathList) add(where, name, label, split string, hasSplit bool) error {
	name, err := cleanPath(name)
	if err != nil {
		return err
	}
	if label, err = cleanLabel(label); err != nil {
		return err
	}
	test := false
	if hasSplit {
		if test, err = isTest(split); err != nil {
			return err
		}
	}
	if first, ok := l.seen[name]; ok {
		return fmt.Errorf("names %q, as %s does", name, first)
	}
	name, label = strings.Clone(name), strings.Clone(label)
	l.seen[name] = where
	l.pictures = append(l.pictures, picture{id: name, where: where + ", " + name, test: test})
	l.labels = append(l.labels, label)
	l.album.add(name, false)
	return nil
}

func (l *pathList) collection() *collection {
	c := &collection{path: l.file, name: setName(l.file), pictures: l.pictures, album: l.album}
	c.label(l.labels)
	return c
}

// cleanPath returns a path within the folder, with slashes.
func cleanPath(s string) (string, error) {
	name := strings.ReplaceAll(strings.TrimSpace(s), `\`, "/")
	switch {
	case name == "":
		return "", errors.New("names no image: its path is empty")
	case len(name) > longestPath:
		return "", fmt.Errorf("its path has %d bytes, more than %d", len(name), longestPath)
	case !printable(name):
		return "", fmt.Errorf("its path %.60q is no text", name)
	case path.IsAbs(name), len(name) > 1 && name[1] == ':':
		return "", fmt.Errorf("the path %.200q is absolute; paths are relative to the folder of this file", s)
	}
	if name = path.Clean(name); !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fmt.Errorf("the path %.200q %w", s, errEscapes)
	}
	return name, nil
}

// cleanLabel returns the name of a class.
func cleanLabel(s string) (string, error) {
	label := strings.TrimSpace(s)
	switch {
	case label == "":
		return "", errors.New("its label is empty")
	case len(label) > longestLabel:
		return "", fmt.Errorf("its label has %d bytes, more than %d", len(label), longestLabel)
	case !printable(label):
		return "", fmt.Errorf("its label %.60q is no text", label)
	}
	return label, nil
}

// printable says whether a name is text without control characters, as one that is shown on a terminal should be.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// isTest reads the part that an image belongs to.
func isTest(split string) (bool, error) {
	test, ok := parts[strings.ToLower(strings.TrimSpace(split))]
	if !ok {
		return false, fmt.Errorf("its split is %.60q, not train, val or test", split)
	}
	return test, nil
}
