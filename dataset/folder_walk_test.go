package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOpenFolderHidden: hidden folders, such as those of an editor's copies, hold no images of the set.
func TestOpenFolderHidden(t *testing.T) {
	a, b, other := encoded(t, grayPicture(4, 4), "png"), encoded(t, grayPicture(4, 4), "bmp"), encoded(t, colorful(4, 4), "png")
	dir := tree(t, map[string][]byte{
		"cat/1.png": a, "cat/.ipynb_checkpoints/1-checkpoint.png": other, "dog/deep/2.png": b, "dog/deep/.git/x/3.png": other, ".trash/4.png": other,
	})
	f, err := OpenFolder(t.Context(), dir, PictureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.Train.IDs, []string{"cat/1.png", "dog/deep/2.png"}) || f.Train.Channels != 1 {
		t.Errorf("read %v with %d channels", f.Train.IDs, f.Train.Channels)
	}
	dir = tree(t, map[string][]byte{"cat/1.png": a, "dog/.cache/2.png": a})
	_, err = OpenFolder(t.Context(), dir, PictureOptions{})
	checkInputError(t, err, dir, `class "dog" has no image to train on`)
}

// TestOpenFolderLinks: a link to a folder, and one in the place of a class that leads nowhere, is refused by name, never passed over.
func TestOpenFolderLinks(t *testing.T) {
	good := encoded(t, grayPicture(4, 4), "png")
	const followed = " is a link to a folder, and such links are not followed: put the folder itself in its place, or remove the link"
	outside := tree(t, map[string][]byte{"5.png": good})
	plain := map[string][]byte{"a/1.png": good, "b/2.png": good, ".c/3.png": good, "notes.txt": good}
	inParts := map[string][]byte{"train/a/1.png": good, "train/b/2.png": good, ".test/a/3.png": good}
	for _, test := range []struct {
		name       string
		files      map[string][]byte
		link, goal string
		want       string // empty: the link does not matter
		pictures   string // what a folder without classes says
	}{
		{"a class", plain, "c", ".c", `"c"` + followed, `"c"` + followed},
		{"a class outside", plain, "c", outside, `"c"` + followed, `"c"` + followed},
		{"a folder in a class", plain, "a/more", "../.c", `"a/more"` + followed, `"a/more"` + followed},
		{"a circle", plain, "a/up", "..", `"a/up"` + followed, `"a/up"` + followed},
		{"train", map[string][]byte{".train/a/1.png": good, ".train/b/2.png": good, "val/a/3.png": good}, "train", ".train", `"train"` + followed, `"train"` + followed},
		{"test", inParts, "test", ".test", `"test"` + followed, `"test"` + followed},
		{"a class of a part", inParts, "train/c", "../.test/a", `"train/c"` + followed, `"train/c"` + followed},
		{"a class that is gone", plain, "c", "gone", `"c" is a link that leads nowhere (no such file or directory): put its folder in its place, or remove the link`, ""},
		{"a part that is gone", inParts, "test", "gone", `"test" is a link that leads nowhere (`, ""},
		{"a name with a control character", plain, "c\x1b[31m", ".c", `"c\x1b[31m"` + followed, `"c\x1b[31m"` + followed},
		{"a hidden link", plain, ".d", ".c", "", ""},
		{"a link to a file", plain, "readme", "notes.txt", "", ""},
		{"a file that is gone", plain, "a/readme.txt", "gone", "", ""},
		{"no part", inParts, "other", "gone", "", ""},
		{"an image", plain, "a/4.png", "../.c/3.png", "", ""},
	} {
		dir := tree(t, test.files)
		if err := os.Symlink(test.goal, filepath.Join(dir, filepath.FromSlash(test.link))); err != nil {
			t.Skip(err)
		}
		_, err := OpenFolder(t.Context(), dir, PictureOptions{})
		_, pictures := OpenPictureFolder(t.Context(), dir, PictureFolderOptions{})
		for _, got := range []struct {
			err  error
			want string
		}{{err, test.want}, {pictures, test.pictures}} {
			switch {
			case got.want != "":
				t.Run(test.name, func(t *testing.T) { checkInputError(t, got.err, dir, got.want) })
			case got.err != nil:
				t.Errorf("%s: %v", test.name, got.err)
			}
		}
	}
}

// TestOpenFolderNames: names that would move a terminal's cursor, or are no UTF-8, reach messages in quotes only.
func TestOpenFolderNames(t *testing.T) {
	good := encoded(t, grayPicture(4, 4), "png")
	dir := tree(t, map[string][]byte{"a/1.png": good, "b/2.png": good, "b/\x1b[31m/3.png": good, "b/4\a.png": {1}})
	if err := os.WriteFile(filepath.Join(dir, "a", "caf\xe9.png"), good, 0o644); err != nil {
		t.Skip(err) // some file systems take UTF-8 only
	}
	shown := []string{`"a/caf\xe9.png"`, `"b/4\a.png"`, `"b/\x1b[31m/3.png"`}
	check := func(err error, skipped []Unreadable, notes []string) {
		t.Helper()
		var unreadable *UnreadableError
		if !errors.As(err, &unreadable) || !printable(strings.ReplaceAll(err.Error(), "\n", "")) {
			t.Fatalf("%q", err)
		}
		for _, files := range [][]Unreadable{unreadable.Files, skipped} {
			var got []string
			for _, f := range files {
				got = append(got, f.Path)
				if want := "its name is no text: rename it"; f.Err.Error() != want {
					t.Errorf("%s: %v, want %s", f.Path, f.Err, want)
				}
			}
			if slices.Sort(got); !slices.Equal(got, shown) {
				t.Errorf("%q can't be read, want %q", got, shown)
			}
		}
		if len(notes) != 4 || !printable(strings.Join(notes, "")) {
			t.Errorf("notes %q", notes)
		}
	}
	_, err := OpenFolder(t.Context(), dir, PictureOptions{})
	f, skipping := OpenFolder(t.Context(), dir, PictureOptions{SkipUnreadable: true})
	if skipping != nil {
		t.Fatal(skipping)
	}
	check(err, f.Skipped, f.Train.Notes)
	_, err = OpenPictureFolder(t.Context(), dir, PictureFolderOptions{})
	p, skipping := OpenPictureFolder(t.Context(), dir, PictureFolderOptions{SkipUnreadable: true})
	if skipping != nil {
		t.Fatal(skipping)
	}
	check(err, p.Skipped, p.Notes)

	for _, files := range []map[string][]byte{
		{"a/1.png": good, "b/2.png": good, "c\x1b[2J/3.png": good}, {"train/a/1.png": good, "train/b/2.png": good, "train/c\x1b[2J/3.png": good},
	} {
		dir := tree(t, files)
		_, err := OpenFolder(t.Context(), dir, PictureOptions{SkipUnreadable: true})
		checkInputError(t, err, dir, `c\x1b[2J" names a class and is no text: rename the folder`)
	}
}
