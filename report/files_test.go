package report

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/datadropout/datadropout"
)

// Starting over removes every file that a run writes, and nothing of a person's.
func TestStartingOverRemovesEveryResult(t *testing.T) {
	dir := t.TempDir()
	mine := []string{ReviewFile, "notes.txt"}
	for _, name := range append(append([]string{ConfigFile}, results...), mine...) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := datadropout.RemoveRun(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(mine) || entries[0].Name() != mine[1] || entries[1].Name() != mine[0] {
		t.Errorf("%v is left (%v)", entries, err)
	}
}
