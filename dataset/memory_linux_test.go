package dataset

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The variables tell this program to read a folder and to print its peak memory, in place of its tests.
const memoryFolder, memoryBound = "DATADROPOUT_TESTING_MEMORY_FOLDER", "DATADROPOUT_TESTING_MEMORY_BOUND"

func TestMain(m *testing.M) {
	if dir := os.Getenv(memoryFolder); dir != "" {
		if err := printPeakMemory(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func printPeakMemory(dir string) error {
	bound, err := strconv.ParseInt(os.Getenv(memoryBound), 10, 64)
	if err != nil {
		return err
	}
	p, err := OpenPictures(context.Background(), FolderName, dir, PictureOptions{Memory: bound})
	if err != nil {
		return err
	}
	defer p.Train.Close()
	hash := p.Train.Hash()
	input, target := make([]float32, p.Train.pixelsPerImage()), make([]float32, len(p.Train.Classes))
	for i := range p.Train.Len() {
		p.Train.Fill(i, input, target)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, text, _ := strings.Cut(string(status), "VmHWM:") // that of getrusage is the parent's too
	peak, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
	if err != nil {
		return err
	}
	peak *= 1024
	fmt.Println(peak, hash)
	return nil
}

// A set of 48 MiB is read within a bound of 4 MiB: the process takes hardly more than for a set of a few images.
func TestMemoryBound(t *testing.T) {
	const side, n = 256, 256 // 48 MiB
	content := encoded(t, colorful(side, side), "png")
	peak := func(n int, bound int64) (int64, string) {
		t.Helper()
		files := map[string][]byte{}
		for k := range n {
			files[fmt.Sprintf("%d/%d.png", k%2, k)] = content
		}
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), memoryFolder+"="+tree(t, files), memoryBound+"="+strconv.FormatInt(bound, 10), CacheVariable+"="+t.TempDir())
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(string(out))
		bytes, err := strconv.ParseInt(words[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return bytes, words[1]
	}
	few, _ := peak(20, 4<<20)
	onDisk, hash := peak(n, 4<<20)
	inMemory, same := peak(n, 1<<30)
	t.Logf("peak memory: %d MiB for 20 images, %d MiB for %d on disk, %d MiB in memory", few>>20, onDisk>>20, n, inMemory>>20)
	if hash != same {
		t.Error("other bits on disk")
	}
	if onDisk > few+12<<20 {
		t.Errorf("%d MiB, and %d MiB for 20 images", onDisk>>20, few>>20)
	}
	if inMemory < few+40<<20 {
		t.Errorf("%d MiB in memory: this test measures nothing", inMemory>>20)
	}
}
