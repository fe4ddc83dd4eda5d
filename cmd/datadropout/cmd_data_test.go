package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/dataset"
)

func TestDataList(t *testing.T) {
	t.Setenv(dataset.CacheVariable, t.TempDir())
	code, out, errs := runCommand(t, "data", "list")
	if code != exitDone || errs != "" {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, name := range dataset.Known() {
		if !strings.Contains(out, "\n"+name+" ") {
			t.Errorf("%s is not listed:\n%s", name, out)
		}
	}
	for _, line := range strings.Split(out, "\n") {
		if len(line) > 110 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
	if code, out, _ := runCommand(t, "data", "list", "--json"); code != exitDone || strings.Count(out, "\n") != len(dataset.Known()) {
		t.Errorf("as JSON, exit code %d:\n%s", code, out)
	}
}

// TestDataFetchWrong asks a server that has something else under the names: nothing is kept, and a run says what to type.
func TestDataFetchWrong(t *testing.T) {
	cache := t.TempDir()
	t.Setenv(dataset.CacheVariable, cache)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("no data set")) }))
	defer server.Close()
	code, out, errs := runCommand(t, "data", "fetch", "kmnist", "--source", server.URL)
	if code != exitFailed || out != "" || !strings.Contains(errs, "train-images-idx3-ubyte.gz: wrong checksum") &&
		!strings.Contains(errs, "wrong checksum: its MD5 is") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if found, err := filepath.Glob(filepath.Join(cache, "kmnist", "*.gz")); err != nil || len(found) > 0 {
		t.Errorf("%v is there (%v)", found, err)
	}
	code, _, errs = runCommand(t, "run", "--data", "cifar10")
	if code != exitInput || !strings.Contains(errs, "type: datadropout data fetch cifar10") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	code, _, errs = runCommand(t, "run", "--data", "shapes", "--fetch")
	if code != exitUsage || !strings.Contains(errs, "shapes can't be fetched") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	code, _, errs = runCommand(t, "data", "fetch", "imagenet")
	if code != exitUsage || !strings.Contains(errs, "known: mnist") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// A file that is there and not as published is told by name, before anything is downloaded.
func TestDataFetchChecksWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "t10k-labels-idx1-ubyte.gz")
	if err := os.WriteFile(path, []byte("cut sho"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := runCommand(t, "data", "fetch", "kmnist", "--data-dir", dir, "--source", "http://127.0.0.1:1/")
	if code != exitInput || out != "" || !strings.Contains(errs, path+": its MD5 is ") || !strings.Contains(errs, "delete it, and it is fetched again") || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
}

// A download is told of on stderr, and not where JSON lines or quiet were asked for.
func TestDownloadIsSilentInJSON(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("no data set")) }))
	defer proxy.Close()
	for _, tt := range []struct {
		args []string
		told bool
	}{
		{[]string{"run"}, true}, {[]string{"run", "--json"}, false}, {[]string{"plan", "--json"}, false}, {[]string{"run", "--quiet"}, false},
		{[]string{"data", "info", "--json"}, false},
	} {
		dir := t.TempDir()
		c, stderr := child(append(tt.args, "--data", "kmnist", "--data-dir", dir, "--fetch")...)
		c.Env, c.Dir = append(c.Env, "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL), dir
		stdout, err := c.Output()
		if err == nil || len(stdout) > 0 || !strings.Contains(stderr.String(), "wrong checksum") || strings.Contains(stderr.String(), "fetching train-images-idx3-ubyte.gz\n") != tt.told {
			t.Errorf("%v: %v, %q, %q", tt.args, err, stdout, stderr)
		}
	}
}

// TestRunOnAFolder runs on a folder of images that differ in size, with one that can't be read, and on a folder that is wrong.
func TestRunOnAFolder(t *testing.T) {
	dir := t.TempDir()
	for k := range 60 {
		m := image.NewGray(image.Rect(0, 0, 20+k%3, 24))
		for i := range m.Pix {
			m.Pix[i] = uint8(i*(1+k%2) + k)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		class := filepath.Join(dir, []string{"even", "odd"}[k%2])
		if err := os.MkdirAll(class, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(class, fmt.Sprintf("%d.png", k)), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "odd", "broken.png"), []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--data", dir, "--image-size", "16", "--net", "softmax", "--epochs", "1", "--seeds", "2", "--rule", "count:3", "--out", filepath.Join(t.TempDir(), "run")}
	code, _, errs := runCommand(t, args...)
	if code != exitInput || !strings.Contains(errs, "1 image can't be read (--skip-unreadable leaves them out):\n  odd/broken.png: is no PNG") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	code, out, errs := runCommand(t, append(args, "--skip-unreadable")...)
	if code != exitDone || !strings.Contains(errs, "odd/broken.png") || !strings.Contains(out, "dropped") {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	scores := readFile(t, filepath.Join(args[len(args)-1], "scores.csv"))
	if !strings.Contains(scores, "even/") || !strings.Contains(scores, "odd/") {
		t.Errorf("scores.csv has no paths for ids:\n%s", scores[:min(300, len(scores))])
	}
	again := filepath.Join(t.TempDir(), "again")
	if code, _, errs := runCommand(t, "run", "--config", filepath.Join(args[len(args)-1], "config.yaml"), "--out", again, "-q"); code != exitDone || readFile(t, filepath.Join(again, "scores.csv")) != scores {
		t.Errorf("repeated from config.yaml: exit code %d, %s", code, errs)
	}
	if code, _, errs := runCommand(t, "run", "--image-size", "16"); code != exitUsage || !strings.Contains(errs, "not for shapes") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// TestRunOnAPathOfANamedSet: the path of files that are a known set's is enough.
func TestRunOnAPathOfANamedSet(t *testing.T) {
	dir := idxFiles(t, 200, nil)
	code, out, errs := runCommand(t, "run", "--data", dir, "--net", "softmax", "--epochs", "1", "--seeds", "2", "--rule", "count:3", "--json", "--out", filepath.Join(t.TempDir(), "run"))
	if code != exitDone || !strings.Contains(out, `"data":"mnist"`) {
		t.Errorf("exit code %d: %s\n%s", code, errs, out[:min(len(out), 300)])
	}
}
