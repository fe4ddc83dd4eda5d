package dataset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// parquetSuffix is how the names of Parquet files end.
const parquetSuffix = ".parquet"

// RecognizePictures tells which kind of images of a person's own is at the path, for [OpenPictures]: Parquet files by their content or, in
// a folder, by their names; another folder is one of images, and a text file a manifest if it is named .csv, .tsv or .txt.
func RecognizePictures(path string) (name string, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return "", false
	}
	if info.IsDir() {
		if names, err := parquetNames(path); err == nil && len(names) > 0 {
			return ParquetName, true
		}
		return FolderName, true
	}
	ext := strings.ToLower(filepath.Ext(path))
	if f, _, err := openRegular(path); err == nil {
		defer f.Close()
		var head [len(parquetMagic)]byte
		if _, err := io.ReadFull(f, head[:]); err == nil && string(head[:]) == parquetMagic {
			return ParquetName, true
		}
	}
	switch ext {
	case parquetSuffix:
		return ParquetName, true
	case ".csv", ".tsv", ".txt":
		return ManifestName, true
	}
	return "", false
}

// shardName is the name of a file of a part, such as train-00000-of-00002.parquet.
var shardName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.parquet$`)

// findShards returns the file, or the Parquet files of the folder in the order of their names: those in it, in the folders of
// parts in it, or in the folder data, where the library datasets puts them. A name, of the file or the folder that it is in, that begins with
// train, val, valid, validation or test says which part it is; where none does, all are for training.
func findShards(path string) ([]parquetShard, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	if !info.IsDir() {
		return []parquetShard{{path: path, name: filepath.Base(path), part: "train"}}, nil
	}
	names, err := parquetNames(path)
	if err != nil {
		return nil, err
	}
	var shards []parquetShard
	var unnamed string
	for _, name := range names {
		s := parquetShard{path: filepath.Join(path, filepath.FromSlash(name)), name: name}
		if s.part = partOf(name); s.part == "" {
			unnamed = name
		}
		s.test = parts[s.part]
		shards = append(shards, s)
	}
	switch {
	case len(shards) == 0:
		return nil, inputErrorf(path, "holds no Parquet files")
	case unnamed != "" && slices.ContainsFunc(shards, func(s parquetShard) bool { return s.part != "" }):
		return nil, inputErrorf(path, "%s has a name that says neither train, val nor test, and others do", unnamed)
	case unnamed != "":
		for k := range shards {
			shards[k].part = "train"
		}
	}
	return shards, missingShard(path, names)
}

// parquetNames lists the Parquet files of a set's folder, with slashes.
func parquetNames(dir string) ([]string, error) {
	for _, below := range []string{".", "data"} {
		var names []string
		entries, err := os.ReadDir(filepath.Join(dir, below))
		if below != "." && errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, fileError(dir, err)
		}
		for _, e := range entries {
			name := filepath.ToSlash(filepath.Join(below, e.Name()))
			if e.IsDir() && partOf(e.Name()) == e.Name() {
				part, err := os.ReadDir(filepath.Join(dir, below, e.Name()))
				if err != nil {
					return nil, fileError(dir, err)
				}
				for _, e := range part {
					if isParquetName(e) {
						names = append(names, name+"/"+e.Name())
					}
				}
			}
			if isParquetName(e) {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			slices.SortFunc(names, compareNatural)
			return names, nil
		}
	}
	return nil, nil
}

func isParquetName(e fs.DirEntry) bool {
	return !e.IsDir() && strings.HasSuffix(e.Name(), parquetSuffix) && !strings.HasPrefix(e.Name(), ".")
}

// partOf returns the part that a file's name, or that of the folder it is in, begins with.
func partOf(name string) string {
	file := filepath.Base(name)
	if dir := filepath.Base(filepath.Dir(name)); dir != "." && dir != "data" {
		file = dir
	}
	end := strings.IndexFunc(file+".", func(r rune) bool { return !unicode.IsLetter(r) })
	part := strings.ToLower(file[:end])
	if _, ok := parts[part]; !ok {
		return ""
	}
	return part
}

// missingShard reports a file that the names of the others tell of.
func missingShard(dir string, names []string) error {
	for _, name := range names {
		m := shardName.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[3])
		for k := range n {
			want := fmt.Sprintf("%s-%05d-of-%s%s", m[1], k, m[3], parquetSuffix)
			if !slices.Contains(names, want) {
				return inputErrorf(filepath.Join(dir, filepath.FromSlash(want)), "is not there, and %s says that it belongs to the set", filepath.Base(name))
			}
		}
	}
	return nil
}
