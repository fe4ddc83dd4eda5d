package main

import (
	"net/http"
	"net/http/httptest"
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
	code, _, errs = runCommand(t, "run", "--data", "emnist", "--fetch")
	if code != exitUsage || !strings.Contains(errs, "emnist can't be fetched") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	code, _, errs = runCommand(t, "data", "fetch", "imagenet")
	if code != exitUsage || !strings.Contains(errs, "to be fetched are: mnist") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
