package datadropout

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/train"
)

func identity(t *testing.T, change func(c *Config)) Identity {
	t.Helper()
	c := DefaultConfig()
	c.resolve()
	c.Seed = 1<<63 + 1 // more than a float64 holds
	change(&c)
	is, err := NewIdentity(c, &Data{Hash: "aaaaaaaaaaaaaaaa"})
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// A process that is killed between the first writing of the state and that of its copy has damaged nothing; once something is kept, a copy
// that is gone is told.
func TestCheckStoreOfAKilledBeginning(t *testing.T) {
	for _, name := range []string{stateFile, filepath.Join(checkpointDir, stateFile)} {
		dir := t.TempDir()
		if _, err := OpenDirStore(dir, identity(t, func(*Config) {})); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		gone := func() (names []string) {
			if err := CheckStore(dir, func(name string, err error) {
				if err != nil {
					names = append(names, name)
				}
			}); err != nil {
				t.Fatal(err)
			}
			return names
		}
		if got := gone(); got != nil {
			t.Errorf("without %s, and nothing kept: %v", name, got)
		}
		partial := filepath.Join(dir, checkpointDir, "full-0"+partialExtension)
		if err := os.WriteFile(partial, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := gone(); !slices.Contains(got, name) {
			t.Errorf("without %s, with a training that is kept: %v", name, got)
		}
	}
}

// A store is opened again by what it is bound to, which went through its file, and any difference that decides the result is named
// with both values.
func TestDirStoreSaysWhatDiffers(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenDirStore(dir, identity(t, func(*Config) {})); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(c *Config)
		data   string
		want   string // empty: the same run
	}{
		{"nothing", func(*Config) {}, "", ""},
		{"threads and bounds", func(c *Config) {
			c.Threads, c.Influence.Memory, c.Influence.Disk, c.DataDir = 3, 5, 7, "/elsewhere"
		}, "", ""},
		{"a number", func(c *Config) { c.Recipe.Epochs = 12 }, "", "recipe.epochs was 10 and is 12"},
		{"a small number", func(c *Config) { c.Recipe.WeightDecay = 1e-7 }, "", "recipe.weight_decay was 0.0005 and is 1e-7"},
		{"a large number", func(c *Config) { c.Seed-- }, "", "seed was 9223372036854775809 and is 9223372036854775808"},
		{"a name", func(c *Config) { c.InfluenceNet = "cnn-smooth" }, "", "influence_net was not set and is cnn-smooth"},
		{"a list", func(c *Config) { c.Recipe.Milestones = []float64{0.5, 2} }, "", "recipe.milestones was not set and is [0.5,2]"},
		{"data", func(*Config) {}, "bbbbbbbbbbbbbbbb", "the content hash of the data was aaaaaaaaaaaa and is bbbbbbbbbbbb"},
		{"two things", func(c *Config) { c.Rule, c.Net = "count:3", "cnn" }, "c", "net was lenet5 and is cnn; rule was auto and is count:3; the content hash"},
	} {
		is := identity(t, tt.change)
		if tt.data != "" {
			is.Data = tt.data
		}
		_, err := OpenDirStore(dir, is)
		var differs *DiffersError
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: error %v", tt.name, err)
		case tt.want != "" && (!errors.As(err, &differs) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), dir)):
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
	is := identity(t, func(*Config) {})
	is.Version = "2.0"
	if _, err := OpenDirStore(dir, is); err == nil || !strings.Contains(err.Error(), "the version of the program was "+Version()+" and is 2.0") {
		t.Errorf("another version: error %v", err)
	}
	// Settings may be amended, the rest not.
	if _, _, err := AmendDirStore(dir, is); err == nil {
		t.Error("another version was taken over")
	}
	changed := identity(t, func(c *Config) { c.Estimator = "ekfac" })
	if _, differences, err := AmendDirStore(dir, changed); err != nil || len(differences) != 1 || differences[0] != (Difference{"estimator", "cg", "ekfac"}) {
		t.Errorf("%v, %v", differences, err)
	}
	if _, err := OpenDirStore(dir, changed); err != nil {
		t.Errorf("after the amendment: %v", err)
	}
}

// What is saved comes back with what it was made of; a training of which any file is gone counts as none; a kill between the files of
// a training that takes the place of another leaves none.
func TestDirStoreKeepsWholeTrainings(t *testing.T) {
	dir, is := t.TempDir(), identity(t, func(*Config) {})
	open := func() *DirStore {
		t.Helper()
		s, err := OpenDirStore(dir, is)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	model := &train.Model{Theta: []float32{1, 2, 3}}
	save := func(s *DirStore, of string) {
		t.Helper()
		if err := errors.Join(s.SaveCurve("full/0", []float64{2, 1}), s.SaveRecord("full/0", &train.Record{}), s.SaveModel("full/0", of, model, 1.5),
			s.SaveScores("scores/0", "x", &influence.Scores{Delta: []float64{0.1}}, 2)); err != nil {
			t.Fatal(err)
		}
	}
	save(open(), "one")
	s := open()
	m, seconds, ok, err := s.Model("full/0")
	if err != nil || !ok || seconds != 1.5 || m.Digest() != model.Digest() || s.Of("full/0") != "one" {
		t.Fatalf("%v, %v, %v, %v", m, seconds, ok, err)
	}
	for _, name := range []string{"full-0.model", "full-0.curve", "full-0.record"} {
		path := filepath.Join(dir, checkpointDir, name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, _, ok, err := s.Model("full/0"); ok || err != nil || s.Of("full/0") != "" {
			t.Errorf("without %s: %v, %v", name, ok, err)
		}
		bad := bytes.Clone(raw)
		bad[len(bad)/2] ^= 4
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		_, _, _, modelErr := s.Model("full/0")
		_, curveErr := s.Curve("full/0")
		_, _, recordErr := s.Record("full/0")
		var damaged *durable.DamagedError
		if err := errors.Join(modelErr, curveErr, recordErr); !errors.As(err, &damaged) || damaged.Path != path {
			t.Errorf("%s damaged: error %v", name, err)
		}
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveCurve("full/0", []float64{5}); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := open().Model("full/0"); ok || err != nil {
		t.Errorf("with another's curve: %v, %v", ok, err)
	}
	save(s, "two")
	if _, _, ok, err := open().Model("full/0"); !ok || err != nil || open().Of("full/0") != "two" {
		t.Errorf("%v, %v", ok, err)
	}
	if scores, _, ok, err := open().Scores("scores/0"); !ok || err != nil || scores.Delta[0] != 0.1 {
		t.Errorf("%v, %v, %v", scores, ok, err)
	}
}

// What a kill has left is told of and cleared away in a directory whose name looks like a pattern.
func TestDirStoreInADirectoryWithBrackets(t *testing.T) {
	dir, is := filepath.Join(t.TempDir(), "run[1]"), identity(t, func(*Config) {})
	s, err := OpenDirStore(dir, is)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SaveScores("scores/0", "x", &influence.Scores{}, 1); err != nil {
		t.Fatal(err)
	}
	write := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, checkpointDir, name), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func() string {
		t.Helper()
		entries, err := os.ReadDir(filepath.Join(dir, checkpointDir))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	write("scores-0.sweep.partial", "scores-1.sweep.partial", "trajectory-9.tmp", ".full-0.model.tmp-X")
	var damaged []string
	if err := CheckStore(dir, func(name string, err error) {
		if err != nil {
			damaged = append(damaged, filepath.Base(name))
		}
	}); err != nil || strings.Join(damaged, " ") != "scores-0.sweep.partial scores-1.sweep.partial" {
		t.Errorf("%v, %v", damaged, err)
	}
	if err := Sweep(dir); err != nil || left() != "scores-0.json scores-0.sweep.partial scores-1.sweep.partial state.json" {
		t.Errorf("%v, %s", err, left())
	}
	if _, err := OpenDirStore(dir, is); err != nil || left() != "scores-0.json scores-1.sweep.partial state.json" {
		t.Errorf("%v, %s", err, left())
	}
}

// A state file of an earlier version, or of a later one, is refused by its schema.
func TestStateOfAnotherSchema(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(`{"schema":1,"fingerprint":"x","seconds":{}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDirStore(dir, Identity{}); err == nil || !strings.Contains(err.Error(), "schema 1") {
		t.Errorf("error %v", err)
	}
}
