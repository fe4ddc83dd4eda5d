package dataset

import (
	"slices"
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
