package dataset

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// parts are the names of the parts that a set may be cut into, and whether they are tested on.
var parts = map[string]bool{"train": false, "val": false, "valid": false, "validation": false, "test": true}

// listFolder lists the images of a folder of folders, sorted by path.
func listFolder(ctx context.Context, dir string, o PictureOptions) (*collection, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fileError(dir, err)
	}
	files, folders, err := walkFolder(ctx, root, dir)
	if err == nil && len(files) == 0 {
		err = inputErrorf(dir, "holds no images in folders, one for each class")
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	album := newFileAlbum(root, o.Memory)
	c := &collection{path: dir, name: setName(dir), album: album}
	labels := make([]string, len(files))
	for i, f := range files {
		album.add(f.path, f.plain)
		where, err := f.shown()
		c.pictures = append(c.pictures, picture{id: f.path, where: where, test: f.test, err: err})
		labels[i] = f.class
	}
	c.label(labels, folders...)
	return c, nil
}

// folderFile is a file that may be an image.
type folderFile struct {
	path  string // relative to the folder, with slashes
	plain bool   // no link
	class string
	test  bool
}

// shown returns the path for messages, in quotes where it could do harm to a terminal, for which err is an error.
func (f folderFile) shown() (path string, err error) {
	if !printable(f.path) {
		return strconv.Quote(f.path), errors.New("its name is no text: rename it")
	}
	return f.path, nil
}

// walkFolder finds the files that may be images, sorted, and the folders that are classes.
func walkFolder(ctx context.Context, root *os.Root, dir string) (files []folderFile, classes []string, err error) {
	top, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, nil, fileError(dir, err)
	}
	for _, e := range top {
		if _, part := parts[e.Name()]; part {
			if err := checkLink(dir, e.Name(), e, true); err != nil {
				return nil, nil, err
			}
		}
	}
	prefixes := map[string]bool{"": false}
	if slices.ContainsFunc(top, func(e fs.DirEntry) bool { return e.Name() == "train" && e.IsDir() }) {
		prefixes = map[string]bool{}
		for _, e := range top {
			if test, ok := parts[e.Name()]; ok && e.IsDir() {
				prefixes[e.Name()] = test
			}
		}
	}
	for prefix, test := range prefixes {
		entries, err := fs.ReadDir(root.FS(), path.Join(".", prefix))
		if err != nil {
			return nil, nil, fileError(filepath.Join(dir, prefix), err)
		}
		for _, e := range entries {
			class := e.Name()
			if strings.HasPrefix(class, ".") {
				continue
			}
			if err := checkLink(dir, path.Join(prefix, class), e, true); err != nil {
				return nil, nil, err
			}
			switch {
			case !e.IsDir():
				continue
			case !printable(class):
				return nil, nil, inputErrorf(dir, "%q names a class and is no text: rename the folder", path.Join(prefix, class))
			}
			classes = append(classes, class)
			err := walkPictures(ctx, root, dir, path.Join(prefix, class), func(name string, plain bool) {
				files = append(files, folderFile{name, plain, class, test})
			})
			if err != nil {
				return nil, nil, err
			}
		}
	}
	slices.SortFunc(files, func(a, b folderFile) int { return strings.Compare(a.path, b.path) })
	return files, classes, nil
}

// checkLink returns an error if the entry of the name, a path within dir, is a link to a folder or, where a folder is expected, to nothing.
// Folders are walked without following links, which could lead out of dir or in a circle; passed over, they would take images, or a
// class, with them without a word.
func checkLink(dir, name string, e fs.DirEntry, folder bool) error {
	if e.Type()&fs.ModeSymlink == 0 {
		return nil
	}
	info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
	var cause *fs.PathError
	switch {
	case err == nil && info.IsDir():
		return inputErrorf(dir, "%q is a link to a folder, and such links are not followed: put the folder itself in its place, or remove the link", name)
	case folder && errors.As(err, &cause):
		return inputErrorf(dir, "%q is a link that leads nowhere (%w): put its folder in its place, or remove the link", name, cause.Err)
	}
	return nil
}

// walkPictures calls found with the files below a folder of dir that may be images, at any depth. Hidden folders are passed over, as
// hidden files are; a link to a folder is an error.
func walkPictures(ctx context.Context, root *os.Root, dir, from string, found func(name string, plain bool)) error {
	return fs.WalkDir(root.FS(), from, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fileError(dir, err)
		case d.IsDir() && name != from && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.IsDir() && isPictureName(name):
			found(name, d.Type().IsRegular())
		case !strings.HasPrefix(d.Name(), "."):
			if err := checkLink(dir, name, d, false); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// isPictureName says whether a file's name is one that images go by. Hidden files are none.
func isPictureName(name string) bool {
	if strings.HasPrefix(path.Base(name), ".") {
		return false
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp":
		return true
	}
	return false
}
