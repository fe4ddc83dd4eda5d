package report

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/datadropout/datadropout/dataset"
)

// decisionsIn opens the decisions of a new run directory.
func decisionsIn(t *testing.T, dir string) (*Decisions, *Content) {
	t.Helper()
	c, err := NewContent(outcome(t))
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDecisions(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	return d, c
}

func TestDecideSavesAtOnce(t *testing.T) {
	dir := t.TempDir()
	d, c := decisionsIn(t, dir)
	label := c.Harmful[0].Label
	for _, step := range []struct {
		index    int
		decision Decision
		want     string
	}{
		{1, Decision{Drop, 0}, fmt.Sprintf("1,%s,%d,drop,\n", c.Harmful[0].ID, label)},
		{1, Decision{Relabel, 3}, fmt.Sprintf("1,%s,%d,relabel,3\n", c.Harmful[0].ID, label)},
		{0, Decision{Keep, 0}, fmt.Sprintf("0,%s,%d,keep,\n1,%s,%d,relabel,3\n", c.Harmful[1].ID, c.Harmful[1].Label, c.Harmful[0].ID, label)},
		{1, Decision{}, fmt.Sprintf("0,%s,%d,keep,\n", c.Harmful[1].ID, c.Harmful[1].Label)},
		{0, Decision{}, ""},
	} {
		if err := d.Decide(step.index, step.decision); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, ReviewFile))
		if err != nil {
			t.Fatal(err)
		}
		if want := "index,id,label,action,new_label\n" + step.want; string(raw) != want {
			t.Errorf("after %+v on %d the file is %q, want %q", step.decision, step.index, raw, want)
		}
		again, err := OpenDecisions(dir, c)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(again.All()) != fmt.Sprint(d.All()) {
			t.Errorf("read back %v, want %v", again.All(), d.All())
		}
	}
}

func TestDecideRefuses(t *testing.T) {
	d, c := decisionsIn(t, t.TempDir())
	for name, try := range map[string]struct {
		index    int
		decision Decision
	}{
		"a sample that is not shown": {12345, Decision{Drop, 0}},
		"an unknown action":          {1, Decision{"delete", 0}},
		"a negative label":           {1, Decision{Relabel, -1}},
		"a label out of range":       {1, Decision{Relabel, len(c.Classes)}},
	} {
		var wrong errDecision
		if err := d.Decide(try.index, try.decision); !errors.As(err, &wrong) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if len(d.All()) != 0 {
		t.Errorf("refused decisions were made: %v", d.All())
	}
}

// A decision that can't be written is not made.
func TestDecideWithoutADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	d, _ := decisionsIn(t, dir)
	if err := d.Decide(1, Decision{Drop, 0}); err == nil {
		t.Error("no error where the directory is gone")
	}
	if len(d.All()) != 0 {
		t.Errorf("a decision that was not saved was made: %v", d.All())
	}
}

// Many decisions at once: each is made, and the file is whole at any moment.
func TestConcurrentDecisions(t *testing.T) {
	dir := t.TempDir()
	d, c := decisionsIn(t, dir)
	var wait, reader sync.WaitGroup
	stop := make(chan struct{})
	if err := d.Decide(1, Decision{Keep, 0}); err != nil {
		t.Fatal(err)
	}
	reader.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := ReadDecisions(filepath.Join(dir, ReviewFile)); err != nil {
					t.Errorf("while saving: %v", err)
					return
				}
			}
		}
	})
	all := []int{0, 1, 2, 10, 11}
	for _, index := range all {
		wait.Go(func() {
			for k := range 10 {
				if err := d.Decide(index, Decision{Relabel, k % len(c.Classes)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	close(stop)
	reader.Wait()
	list, err := ReadDecisions(filepath.Join(dir, ReviewFile))
	if err != nil || len(list) != len(all) {
		t.Fatalf("%d decisions, want %d (%v)", len(list), len(all), err)
	}
	for k, made := range list {
		if made.Index != all[k] || made.Action != Relabel || made.Decision.Label != 9%len(c.Classes) {
			t.Errorf("row %d is %+v", k, made)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, want review.csv alone (%v)", len(entries), err)
	}
}

// A process that is killed while it saves leaves a whole file, with one of the last decisions.
func TestKilledWhileSaving(t *testing.T) {
	if dir := os.Getenv("DATADROPOUT_TESTING_SAVE_IN"); dir != "" {
		d, c := decisionsIn(t, dir)
		fmt.Println("saving")
		for k := 0; ; k++ {
			if err := d.Decide([]int{0, 1, 2, 10, 11}[k%5], Decision{Relabel, k % len(c.Classes)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if runtime.GOOS == "windows" {
		t.Skip("a rename over an open file is another matter there")
	}
	for range 5 {
		dir := t.TempDir()
		command := exec.Command(os.Args[0], "-test.run=^TestKilledWhileSaving$")
		command.Env = append(os.Environ(), "DATADROPOUT_TESTING_SAVE_IN="+dir)
		out, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 6)
		if _, err := out.Read(first); err != nil {
			t.Fatal(err)
		}
		for { // until all five have been decided once
			if list, err := ReadDecisions(filepath.Join(dir, ReviewFile)); err == nil && len(list) == 5 {
				break
			}
		}
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = command.Wait() // killed is what it must say
		d, _ := decisionsIn(t, dir)
		if len(d.All()) != 5 {
			t.Errorf("%d decisions after the kill, want 5", len(d.All()))
		}
	}
}

func TestReadDecisionsRefuses(t *testing.T) {
	const head = "index,id,label,action,new_label\n"
	for _, tt := range []struct{ name, text, says string }{
		{"empty", "", "line 1"},
		{"other columns", "index,id\n", "line 1"},
		{"other names", "index,id,label,action,label\n", "line 1"},
		{"too few fields", head + "1,a,0,drop\n", "line 2"},
		{"no number", head + "1,a,0,drop,\nx,b,0,keep,\n", "line 3: index"},
		{"negative", head + "-1,a,0,drop,\n", "line 2: index"},
		{"label", head + "1,a,b,drop,\n", "line 2: label"},
		{"unknown action", head + "1,a,0,burn,\n", `"burn"`},
		{"no new label", head + "1,a,0,relabel,\n", "new_label"},
		{"a new label of a drop", head + "1,a,0,drop,2\n", "new label"},
		{"twice", head + "1,a,0,drop,\n1,a,0,keep,\n", "line 3: a second"},
		{"quote", head + "1,\"a,0,drop,\n", "line 2"},
	} {
		path := filepath.Join(t.TempDir(), ReviewFile)
		if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := ReadDecisions(path)
		var input *dataset.InputError
		if !errors.As(err, &input) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want one that names the file and says %q", tt.name, err, tt.says)
		}
	}
}

// A review of another run is refused; decisions on samples that the page does not show stay.
func TestOpenDecisionsOfAnotherRun(t *testing.T) {
	for _, tt := range []struct{ name, row, says string }{
		{"another id", "1,elsewhere,0,drop,\n", "another run"},
		{"a label out of range", "500,train/500,0,relabel,99\n", "out of range"},
		{"a sample that is not shown", "500,train/500,0,relabel,2\n", ""},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ReviewFile), []byte("index,id,label,action,new_label\n"+tt.row), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := NewContent(outcome(t))
		if err != nil {
			t.Fatal(err)
		}
		d, err := OpenDecisions(dir, c)
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: error %v, want %q", tt.name, err, tt.says)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Decide(1, Decision{Drop, 0}); err != nil {
			t.Fatal(err)
		}
		if list, err := ReadDecisions(filepath.Join(dir, ReviewFile)); err != nil || len(list) != 2 || list[1].Index != 500 {
			t.Errorf("%s: %v, %v", tt.name, list, err)
		}
	}
}

// What is read is written the same again, and no file makes a panic.
func FuzzReadDecisions(f *testing.F) {
	for _, text := range []string{
		"", "index,id,label,action,new_label\n", "index,id,label,action,new_label\n1,train/00001,0,drop,\n2,\"a,\"\"b\",3,relabel,4\n",
		"index,id,label,action,new_label\n1,a\nb,0,keep,\n", "index,id,label,action,new_label\r\n9999999999999999999,a,0,keep,\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseDecisions(bytes.NewReader(data))
		if err != nil {
			return
		}
		written := formatDecisions(list)
		again, err := parseDecisions(bytes.NewReader(written))
		if err != nil {
			t.Fatalf("%q is not read back: %v", written, err)
		}
		if !bytes.Equal(formatDecisions(again), written) {
			t.Errorf("%q becomes %q", written, formatDecisions(again))
		}
		if rows, err := csv.NewReader(bytes.NewReader(written)).ReadAll(); err != nil || len(rows) != len(list)+1 {
			t.Errorf("%d rows for %d decisions (%v)", len(rows), len(list), err)
		}
	})
}
