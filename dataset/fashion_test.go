package dataset

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// realData returns the folder of a real data set: below DATADROPOUT_TESTING_DATA, or below shared/data beside the checkout. The
// test is skipped where neither has it.
func realData(t *testing.T, name string) string {
	t.Helper()
	candidates := []string{filepath.Join("..", "..", "shared", "data", name)}
	if root := os.Getenv("DATADROPOUT_TESTING_DATA"); root != "" {
		candidates = []string{filepath.Join(root, name), candidates[0]}
	}
	for _, dir := range candidates {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	t.Skipf("no %s in %v; set DATADROPOUT_TESTING_DATA to the folder that holds it", name, candidates)
	return ""
}

// The files are the official release, by its MD5 sums, and the reader finds in them what the release says is there.
func TestFashionMNIST(t *testing.T) {
	dir := realData(t, "fashion-mnist")
	for name, want := range map[string]string{
		"train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
		"train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
		"t10k-images-idx3-ubyte.gz":  "bef4ecab320f06d8554ea6380940ec79",
		"t10k-labels-idx1-ubyte.gz":  "bb300cfdad3c16e7a12a480ee83cd310",
	} {
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		digest := md5.New()
		_, err = io.Copy(digest, file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(digest.Sum(nil)); got != want {
			t.Errorf("%s has the MD5 sum %s, the official release has %s", name, got, want)
		}
	}
	train, held, err := OpenDir("fashion-mnist", dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		set      *Images
		n, class int
	}{{train, 60_000, 6000}, {held, 10_000, 1000}} {
		if err := part.set.Validate(); err != nil {
			t.Error(err)
		}
		if part.set.Len() != part.n || part.set.Height != 28 || part.set.Width != 28 || part.set.Channels != 1 {
			t.Errorf("%d images of %v, want %d of 28x28x1", part.set.Len(), part.set.InputDims(), part.n)
		}
		for c, n := range tally(part.set.Labels, part.set.positions(), 10) {
			if n != part.class {
				t.Errorf("%d images of class %s, want %d", n, part.set.Classes[c], part.class)
			}
		}
	}
	// Published labels of the first images, and the mean and deviation that tutorials normalize by: 0.2860 and 0.3530.
	if want := []int{9, 0, 0, 3, 0, 2, 7, 2, 5, 5}; !slices.Equal(train.Labels[:10], want) {
		t.Errorf("first labels %v, want %v", train.Labels[:10], want)
	}
	mean, std := train.ChannelStats(train.positions())
	if mean[0] < 0.28595 || mean[0] > 0.28605 || std[0] < 0.35295 || std[0] > 0.35305 {
		t.Errorf("mean %v and deviation %v, want 0.2860 and 0.3530", mean[0], std[0])
	}
}
