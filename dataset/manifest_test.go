package dataset

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// manifestTree is a folder of five images, those of cats 3x4 and gray, with a manifest.
func manifestTree(t *testing.T, name, manifest string) string {
	gray, color := encoded(t, grayPicture(3, 4), "png"), encoded(t, colorful(3, 4), "png")
	dir := tree(t, map[string][]byte{
		"in/cats/1.png": gray, "in/cats/2.png": gray, "in/dogs/1.png": color, "in/dogs/2.png": color, "outside.png": gray,
		"in/" + name: []byte(manifest),
	})
	return filepath.Join(dir, "in", name)
}

func TestOpenManifest(t *testing.T) {
	for _, test := range []struct {
		name, file, text string
		columns          Columns
		train, test      string
		classes          string
	}{
		{"named columns", "m.csv", "path,label\ncats/1.png,cat\ndogs/1.png,dog\n", Columns{}, "cats/1.png=0 dogs/1.png=1", "", "cat dog"},
		{"in another order and case", "m.csv", "id,Class,FileName\n7,dog,dogs/1.png\n9,cat,cats/1.png\n", Columns{}, "dogs/1.png=1 cats/1.png=0", "", "cat dog"},
		{"splits", "m.csv", "split,path,label\ntest,cats/1.png,b\ntrain,cats/2.png,b\nVal,dogs/1.png,a\nvalidation,dogs/2.png,a\n", Columns{},
			"cats/2.png=1 dogs/1.png=0 dogs/2.png=0", "cats/1.png=1", "a b"},
		{"numbers", "m.csv", "path,label\ncats/1.png,10\ncats/2.png,9\ndogs/1.png,10\n", Columns{}, "cats/1.png=1 cats/2.png=0 dogs/1.png=1", "", "9 10"},
		{"tabs", "m.tsv", "image\ttarget\ncats/1.png\ta cat, gray\ndogs/1.png\tdog\n", Columns{}, "cats/1.png=0 dogs/1.png=1", "", "a cat, gray|dog"},
		{"semicolons, a byte order mark, CRLF and quotes", "m.csv", "\ufeffpath;label\r\n\"cats/1.png\";\"a;b\"\r\n\r\ndogs/1.png;c\r\n", Columns{},
			"cats/1.png=0 dogs/1.png=1", "", "a;b c"},
		{"no names of columns", "m.txt", "cats/1.png,x\n./dogs/../dogs/1.png,y\n", Columns{}, "cats/1.png=0 dogs/1.png=1", "", "x y"},
		{"columns by name", "m.csv", "path,a,label\nno,cats/1.png,x\nno,dogs\\1.png,y\n", Columns{Path: "a"}, "cats/1.png=0 dogs/1.png=1", "", "x y"},
		{"split by name", "m.csv", "path,label,fold,split\ncats/1.png,x,test,9\ncats/2.png,x,train,9\ndogs/2.png,y,train,9\n", Columns{Split: "fold"}, "cats/2.png=0 dogs/2.png=1", "cats/1.png=0", "x y"},
	} {
		file := manifestTree(t, test.file, test.text)
		p, err := OpenPictures(t.Context(), ManifestName, file, PictureOptions{Columns: test.columns})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		show := func(s *Images) string {
			if s == nil {
				return ""
			}
			if err := s.Validate(); err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			var b []string
			for i, id := range s.IDs {
				b = append(b, id+"="+string('0'+rune(s.Labels[i])))
			}
			return strings.Join(b, " ")
		}
		classes := strings.Join(p.Train.Classes, " ")
		if strings.Contains(test.classes, "|") {
			classes = strings.Join(p.Train.Classes, "|")
		}
		if show(p.Train) != test.train || show(p.Test) != test.test || classes != test.classes {
			t.Errorf("%s: train %s, test %s, classes %s", test.name, show(p.Train), show(p.Test), classes)
		}
		if p.Test != nil && (len(p.Train.Notes) != 1 || !strings.Contains(p.Train.Notes[0], "1 of 1 test images are among the training images too, such as line ")) {
			t.Errorf("%s: notes %q", test.name, p.Train.Notes)
		}
	}
}

func TestOpenManifestRefuses(t *testing.T) {
	const head = "path,label\ncats/1.png,cat\ndogs/1.png,dog\n"
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "is empty"},
		{"no text", "path,label\n\x00", "is no text"},
		{"no images", "path,label\n", "holds no images"},
		{"no path", "id,label\n1,2\n", `no column is named as one of paths is, such as path or file; its columns are "id", "label" (--data-columns path=COLUMN names it)`},
		{"no label", "path,b\n1,2\n", "no column is named as one of labels is"},
		{"out of the folder", head + "../outside.png,cat\n", `line 4: the path "../outside.png" leads out of the folder`},
		{"out of the folder and back", head + "a/../../in/cats/2.png,cat\n", "line 4: the path "},
		{"backslashes", head + `..\outside.png,cat` + "\n", "line 4: the path "},
		{"absolute", head + "/etc/passwd,cat\n", `line 4: the path "/etc/passwd" is absolute`},
		{"a drive", head + `C:\x.png,cat` + "\n", "is absolute"},
		{"no path in a line", head + ",cat\n", "line 4: names no image"},
		{"no label in a line", head + "cats/2.png,  \n", "line 4: its label is empty"},
		{"few columns", head + "cats/2.png\n", "line 4: 1 columns, want 2"},
		{"twice", head + "./cats/1.png,dog\n", `line 4: names "cats/1.png", as line 2 does`},
		{"a long label", head + "cats/2.png," + strings.Repeat("x", 2000) + "\n", "line 4: its label has 2000 bytes"},
		{"a label with control characters", head + "cats/2.png,\x1b[31m\n", "line 4: its label"},
		{"an open quote", head + "cats/2.png,\"x\n", "line 4: "},
		{"a bare quote", head + "ca\"ts/2.png,x\n", "line 4: bare"},
		{"a split", "path,label,split\ncats/1.png,a,both\n", `line 2: its split is "both", not train, val or test`},
		{"one class", "path,label\ncats/1.png,a\ncats/2.png,a\n", `holds one class, "a"`},
		{"a class of test only", "path,label,split\ncats/1.png,a,train\ncats/2.png,b,train\ndogs/1.png,c,test\n", `class "c" is tested on and not trained on`},
		{"no class to train on", "path,label,split\ncats/1.png,a,test\ncats/2.png,b,test\n", `class "a" is tested on and not trained on`},
	} {
		file := manifestTree(t, "m.csv", test.text)
		_, err := OpenPictures(t.Context(), ManifestName, file, PictureOptions{})
		t.Run(test.name, func(t *testing.T) { checkInputError(t, err, file, test.want) })
	}
	_, err := OpenPictures(t.Context(), ManifestName, filepath.Join(t.TempDir(), "m.csv"), PictureOptions{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a manifest that is missing: %v", err)
	}
}

func TestManifestUnreadable(t *testing.T) {
	file := manifestTree(t, "m.csv", "path,label\ncats/1.png,cat\ndogs/1.png,dog\ncats/9.png,cat\nlink.png,cat\nlinks/outside.png,dog\ncats,cat\n")
	dir := filepath.Dir(file)
	if err := errors.Join(os.Symlink("../outside.png", filepath.Join(dir, "link.png")), os.Symlink("..", filepath.Join(dir, "links"))); err != nil {
		t.Skip(err)
	}
	_, err := OpenPictures(t.Context(), ManifestName, file, PictureOptions{})
	var unreadable *UnreadableError
	if !errors.As(err, &unreadable) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{file + ": 4 images can't be read", "\n  line 4, cats/9.png: no such file", "\n  line 5, link.png: leads out of the folder",
		"\n  line 6, links/outside.png: leads out of the folder", "\n  line 7, cats: is no regular file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said:\n%v", want, err)
		}
	}
	p, err := OpenPictures(t.Context(), ManifestName, file, PictureOptions{SkipUnreadable: true})
	if err != nil || p.Train.Len() != 2 || len(p.Skipped) != 4 {
		t.Errorf("left out: %v", err)
	}
}

func TestParseColumns(t *testing.T) {
	if c, err := ParseColumns("path=a b,label=c,split=d,image=e"); err != nil || c != (Columns{"a b", "c", "d", "e"}) {
		t.Errorf("%+v, %v", c, err)
	}
	for _, wrong := range []string{"path", "path=", "paths=a", "path=a,path=b", "path=a,"} {
		if _, err := ParseColumns(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestRecognizePictures(t *testing.T) {
	for _, test := range []struct {
		path, want string
	}{
		{"a.csv", ManifestName}, {"a.TSV", ManifestName}, {"a.bin", ""}, {"parquet.bin", ParquetName}, {"b.parquet", ParquetName}, {"folder", FolderName},
		{"shards", ParquetName}, {"hub", ParquetName}, {"nowhere", ""},
	} {
		dir := tree(t, map[string][]byte{"a.csv": nil, "a.TSV": nil, "a.bin": nil, "parquet.bin": []byte("PAR1..."), "b.parquet": nil, "folder/x.png": nil,
			"shards/train-0.parquet": nil, "hub/data/train-0.parquet": nil})
		if name, ok := RecognizePictures(filepath.Join(dir, test.path)); name != test.want || ok != (test.want != "") {
			t.Errorf("%s is %q, want %q", test.path, name, test.want)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("path,label,split\na.png,x,train\nb/c.png,y,test\n"))
	f.Add([]byte("\ufefffile;class\r\n\"a;.png\";0\r\n"))
	f.Add([]byte("a.png,x\n../b.png,y\n"))
	f.Add([]byte("path\tlabel\n/etc/passwd\t1\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		list := &pathList{file: "x", album: newFileAlbum(root, 1<<20), seen: map[string]string{}}
		bytes := allocated(func() {
			err = readManifest(context.Background(), bufio.NewReaderSize(bytes.NewReader(content), 1<<16), Columns{}, list)
		})
		checkAllocated(t, bytes, len(content))
		if err != nil {
			return
		}
		for _, name := range list.album.paths {
			if !filepath.IsLocal(name) || strings.Contains(name, `\`) {
				t.Errorf("the path %q is taken", name)
			}
		}
		if c := list.collection(); slices.ContainsFunc(c.pictures, func(p picture) bool { return p.class >= len(c.classes) }) {
			t.Error("a picture without a class")
		}
	})
}
