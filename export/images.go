package export

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/datadropout/datadropout/dataset"
)

// IndexFile is a table in every folder of images: the path of each, with its index and id in the data set and its class.
const IndexFile = "datadropout.csv"

// Set says which samples of a data set become files, and from what.
type Set struct {
	Images *dataset.Images
	// Folder is where the files lie that Images was read from, by its ids; empty writes the pixels as PNG.
	Folder string
	// Classless says that the folders in the ids are no classes: files then go by their last name, and classes get folders of their own.
	Classless bool
	// Link makes symbolic links to those files in place of copies.
	Link bool
	// Groups are the samples, each group in a folder of its name; an empty name means the folder that the data set had them in, if any: train
	// and test, of a data set with official ones.
	Groups []Group
	// Labels are new labels by position.
	Labels map[int]int
}

// Group is a list of positions in a data set.
type Group struct {
	Name      string
	Positions []int
}

// Entries returns the files of the set: NAME/CLASS/FILE, or CLASS/FILE, with the class that a sample has now, and [IndexFile]. Names that
// would clash, as those of relabeled samples may, get a number. An id that is no path below the folder is an [*UnsafePathError].
func (s *Set) Entries() ([]Entry, error) {
	folders := s.classFolders()
	type placed struct {
		position int
		path     string
		moved    bool
	}
	var all []placed
	nested := s.ofFolders() && isFolder(filepath.Join(s.Folder, "train"))
	for _, g := range s.Groups {
		for _, p := range g.Positions {
			id := s.Images.ID(p)
			if err := checkPath(id); err != nil {
				return nil, err
			}
			part, name := s.split(id, nested)
			if g.Name != "" {
				part = g.Name
			}
			label, moved := s.Labels[p]
			if !moved {
				label = s.Images.Labels[p]
			}
			all = append(all, placed{p, path.Join(part, folders[label], name), moved})
		}
	}
	// Who keeps its class keeps its name.
	taken := map[string]bool{IndexFile: true}
	for _, moved := range []bool{false, true} {
		for k := range all {
			if all[k].moved == moved {
				all[k].path = free(all[k].path, taken)
			}
		}
	}
	slices.SortFunc(all, func(a, b placed) int { return strings.Compare(a.path, b.path) })
	var index bytes.Buffer
	table := csv.NewWriter(&index)
	// A bytes.Buffer takes every write, so the writer has no error to report.
	_ = table.Write([]string{"path", "index", "id", "class"})
	entries := make([]Entry, 0, len(all)+1)
	for _, a := range all {
		label, moved := s.Labels[a.position]
		if !moved {
			label = s.Images.Labels[a.position]
		}
		_ = table.Write([]string{a.path, strconv.Itoa(a.position), s.Images.ID(a.position), s.Images.Classes[label]})
		e, err := s.entry(a.position, a.path)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	table.Flush()
	return append(entries, Entry{Path: IndexFile, Write: func(w io.Writer) error {
		_, err := w.Write(index.Bytes())
		return err
	}}), nil
}

// ofFolders says whether the files lie in a folder for each class already.
func (s *Set) ofFolders() bool { return s.Folder != "" && !s.Classless }

// split takes an id apart: the folder above that of the class, if any, and the name of the file below the class.
func (s *Set) split(id string, nested bool) (part, name string) {
	first, rest, more := strings.Cut(id, "/")
	switch {
	case s.Folder == "" && (first == "train" || first == "test") && more:
		return first, path.Base(rest) + ".png"
	case s.Folder == "":
		return "", path.Base(id) + ".png"
	case s.Classless:
		return "", path.Base(id)
	case nested:
		_, rest, _ = strings.Cut(rest, "/")
		return first, rest
	}
	return "", rest
}

func (s *Set) entry(position int, name string) (Entry, error) {
	if s.Folder == "" {
		return Entry{Path: name, Write: func(w io.Writer) error {
			return errors.Join(png.Encode(w, s.Images.Image(position)), s.Images.Err())
		}}, nil
	}
	source := filepath.Join(s.Folder, filepath.FromSlash(s.Images.ID(position)))
	if s.Link {
		absolute, err := filepath.Abs(source)
		return Entry{Path: name, Link: absolute}, err
	}
	return Entry{Path: name, Write: func(w io.Writer) error { return copyFile(w, source) }}, nil
}

func copyFile(w io.Writer, source string) error {
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

// free returns the path, with a number before the extension where it is taken, and takes it.
func free(name string, taken map[string]bool) string {
	extension := path.Ext(name)
	for k, found := 2, name; ; k++ {
		if !taken[found] {
			taken[found] = true
			return found
		}
		found = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, extension), k, extension)
	}
}

// classFolders returns a name for the folder of each class: its own where there are folders already, else one that every system takes.
func (s *Set) classFolders() []string {
	if s.ofFolders() {
		return s.Images.Classes
	}
	taken := map[string]bool{}
	names := make([]string, len(s.Images.Classes))
	for k, class := range s.Images.Classes {
		names[k] = free(folderName(class), taken)
	}
	return names
}

// folderName replaces what some system takes in no name of a folder.
func folderName(class string) string {
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '-'
		}
		return r
	}, class)
	name = strings.TrimRight(strings.TrimLeft(name, "."), ". ")
	if name == "" || !filepath.IsLocal(name) || slices.Contains(deviceNames, strings.ToLower(name)) {
		return "class-" + name
	}
	return name
}

// deviceNames are names that Windows keeps for itself.
var deviceNames = []string{"con", "prn", "aux", "nul"}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
