package datadropout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2/maybe"

	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/train"
)

// Store keeps what a run has finished, so that a later run with the same settings continues from there. A finished
// training is named by a key such as "full/0" (arm and seed number).
type Store interface {
	// Model returns the model saved under the key and the seconds its training took; ok is false when there is none.
	Model(key string) (m *train.Model, seconds float64, ok bool, err error)
	// SaveModel saves the model of a finished training.
	SaveModel(key string, m *train.Model, seconds float64) error
	// Record returns what was recorded of the training saved under the key; ok is false when there is nothing.
	Record(key string) (r *train.Record, ok bool, err error)
	// SaveRecord saves what was recorded of a training. It comes before its SaveModel.
	SaveRecord(key string, r *train.Record) error
	// Curve returns the mean training loss of every epoch of the training saved under the key; nil when there is none.
	Curve(key string) ([]float64, error)
	// SaveCurve saves the curve of a training. It comes before its SaveModel.
	SaveCurve(key string, losses []float64) error
	// Scores returns the removal effects saved under the key, such as "scores/0" (seed number), and the seconds that their
	// estimation took.
	Scores(key string) (s *influence.Scores, seconds float64, ok bool, err error)
	// SaveScores saves removal effects, and removes what the scratch of the key holds.
	SaveScores(key string, s *influence.Scores, seconds float64) error
	// TempDir returns the folder for files that hold what does not fit in memory; empty for the system's.
	TempDir() string
	// Scratch returns where the estimation of the scores under the key keeps what it computes on the way; nil for nowhere.
	Scratch(key string) influence.Scratch
}

// DirStore is the Store of a run directory: checkpoints/ and state.json.
type DirStore struct {
	dir   string
	state state
}

type state struct {
	Schema int `json:"schema"`
	// Fingerprint identifies settings, data and code; a store with another one is not continued.
	Fingerprint string             `json:"fingerprint"`
	Seconds     map[string]float64 `json:"seconds"`
}

const (
	stateFile     = "state.json"
	checkpointDir = "checkpoints"
	stateSchema   = 1
)

// HoldsRun says whether the directory already holds a run, finished or not.
func HoldsRun(dir string) bool {
	for _, name := range []string{stateFile, "result.json", "config.yaml"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// runFiles are the files and folders of a run directory.
var runFiles = []string{"config.yaml", "result.json", "scores.csv", "drop.csv", "keep.txt", "curves.csv", "page.json", "report.html", "retrain.json", stateFile, checkpointDir}

// RemoveRun deletes the files of a run from the directory, and nothing else in it.
func RemoveRun(dir string) error {
	for _, name := range runFiles {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// Fingerprint returns what [OpenDirStore] compares: a hash of the settings that decide the result and of the data.
// Settings that do not change a bit of it, such as the number of threads and the bounds on memory and disk, are left out.
func Fingerprint(c Config, d *Data) (string, error) {
	c.Threads, c.DataDir = 0, ""
	labels := d.LabelsHash(c)
	c.LabelNoiseMatrix, c.NoisyLabels = "", "" // what they hold counts, not where they lie
	c.Influence.Memory, c.Influence.Disk, c.DataMemory = 0, 0, 0
	settings, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n", Version(), settings, d.Hash)
	if labels != "" {
		fmt.Fprintln(h, labels)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// OpenDirStore opens the run directory's store and creates it where there is none. A store of other settings, other
// data or another version is an error.
func OpenDirStore(dir, fingerprint string) (*DirStore, error) {
	s := &DirStore{dir: dir, state: state{Schema: stateSchema, Fingerprint: fingerprint, Seconds: map[string]float64{}}}
	path := filepath.Join(dir, stateFile)
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Join(dir, checkpointDir), 0o755); err != nil {
			return nil, err
		}
		return s, s.saveState()
	case err != nil:
		return nil, err
	}
	var found state
	if err := json.Unmarshal(raw, &found); err != nil {
		return nil, fmt.Errorf("%s: not a readable state file: %w", path, err)
	}
	if found.Schema != stateSchema || found.Fingerprint != fingerprint {
		return nil, fmt.Errorf("%s: the run there has other settings, other data or another version of the program; "+
			"repeat it with its own config.yaml, or start over with --force", path)
	}
	if found.Seconds != nil {
		s.state.Seconds = found.Seconds
	}
	return s, nil
}

func (s *DirStore) saveState() error {
	raw, err := json.MarshalIndent(s.state, "", "  ")
	if err != nil {
		return err
	}
	return maybe.WriteFile(filepath.Join(s.dir, stateFile), append(raw, '\n'), 0o644)
}

// path is the file that keeps what is saved under a key.
func (s *DirStore) path(key, extension string) string {
	return filepath.Join(s.dir, checkpointDir, strings.ReplaceAll(key, "/", "-")+extension)
}

// Model implements Store.
func (s *DirStore) Model(key string) (*train.Model, float64, bool, error) {
	seconds, ok := s.state.Seconds[key]
	if !ok {
		return nil, 0, false, nil
	}
	m, err := train.LoadModel(s.path(key, ".model"))
	if err != nil {
		return nil, 0, false, err
	}
	return m, seconds, true, nil
}

// SaveModel implements Store.
func (s *DirStore) SaveModel(key string, m *train.Model, seconds float64) error {
	if err := m.Save(s.path(key, ".model")); err != nil {
		return err
	}
	s.state.Seconds[key] = seconds
	return s.saveState()
}

// Record implements Store.
func (s *DirStore) Record(key string) (*train.Record, bool, error) {
	if _, ok := s.state.Seconds[key]; !ok {
		return nil, false, nil
	}
	path := s.path(key, ".record")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	r, err := train.LoadRecord(path)
	return r, err == nil, err
}

// SaveRecord implements Store.
func (s *DirStore) SaveRecord(key string, r *train.Record) error {
	return r.Save(s.path(key, ".record"))
}

// Curve implements Store.
func (s *DirStore) Curve(key string) ([]float64, error) {
	path := s.path(key, ".curve")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var losses []float64
	if err := json.Unmarshal(raw, &losses); err != nil {
		return nil, fmt.Errorf("%s: not a readable training curve: %w", path, err)
	}
	return losses, nil
}

// SaveCurve implements Store.
func (s *DirStore) SaveCurve(key string, losses []float64) error {
	raw, err := json.Marshal(losses)
	if err != nil {
		return err
	}
	return maybe.WriteFile(s.path(key, ".curve"), raw, 0o644)
}

// Scores implements Store.
func (s *DirStore) Scores(key string) (*influence.Scores, float64, bool, error) {
	seconds, ok := s.state.Seconds[key]
	if !ok {
		return nil, 0, false, nil
	}
	path := s.path(key, ".json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, false, err
	}
	scores := new(influence.Scores)
	if err := json.Unmarshal(raw, scores); err != nil {
		return nil, 0, false, fmt.Errorf("%s: not a readable scores file: %w", path, err)
	}
	return scores, seconds, true, nil
}

// SaveScores implements Store.
func (s *DirStore) SaveScores(key string, scores *influence.Scores, seconds float64) error {
	raw, err := json.Marshal(scores)
	if err != nil {
		return err
	}
	if err := maybe.WriteFile(s.path(key, ".json"), raw, 0o644); err != nil {
		return err
	}
	parts, err := filepath.Glob(s.path(key, ".*"+partialExtension))
	for _, part := range parts {
		err = errors.Join(err, os.Remove(part))
	}
	if err != nil {
		return err
	}
	s.state.Seconds[key] = seconds
	return s.saveState()
}

// partialExtension is that of the files of a scratch.
const partialExtension = ".partial"

// TempDir implements Store: the folder of what is finished, so that it is on the disk that was chosen for the run.
func (s *DirStore) TempDir() string { return filepath.Join(s.dir, checkpointDir) }

// Scratch implements Store: a file for each name beside that of the scores.
func (s *DirStore) Scratch(key string) influence.Scratch { return &dirScratch{s, key} }

type dirScratch struct {
	store *DirStore
	key   string
}

func (s *dirScratch) path(name string) string { return s.store.path(s.key, "."+name+partialExtension) }

// Load implements influence.Scratch.
func (s *dirScratch) Load(name string) ([]byte, bool, error) {
	blob, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return blob, err == nil, err
}

// Save implements influence.Scratch.
func (s *dirScratch) Save(name string, blob []byte) error {
	return maybe.WriteFile(s.path(name), blob, 0o644)
}

// memoryStore is the Store of a run that leaves nothing on disk.
type memoryStore struct {
	models  map[string]*train.Model
	records map[string]*train.Record
	seconds map[string]float64
	scores  map[string]*influence.Scores
	curves  map[string][]float64
}

// NewMemoryStore returns a Store that lives and dies with the process.
func NewMemoryStore() Store {
	return &memoryStore{
		models: map[string]*train.Model{}, records: map[string]*train.Record{}, seconds: map[string]float64{}, scores: map[string]*influence.Scores{},
		curves: map[string][]float64{},
	}
}

func (s *memoryStore) Model(key string) (*train.Model, float64, bool, error) {
	m, ok := s.models[key]
	return m, s.seconds[key], ok, nil
}

func (s *memoryStore) SaveModel(key string, m *train.Model, seconds float64) error {
	s.models[key], s.seconds[key] = m, seconds
	return nil
}

func (s *memoryStore) Record(key string) (*train.Record, bool, error) {
	r, ok := s.records[key]
	return r, ok, nil
}

func (s *memoryStore) SaveRecord(key string, r *train.Record) error {
	s.records[key] = r
	return nil
}

func (s *memoryStore) Curve(key string) ([]float64, error) { return s.curves[key], nil }

func (s *memoryStore) SaveCurve(key string, losses []float64) error {
	s.curves[key] = losses
	return nil
}

func (s *memoryStore) Scores(key string) (*influence.Scores, float64, bool, error) {
	scores, ok := s.scores[key]
	return scores, s.seconds[key], ok, nil
}

func (s *memoryStore) SaveScores(key string, scores *influence.Scores, seconds float64) error {
	s.scores[key], s.seconds[key] = scores, seconds
	return nil
}

// TempDir implements Store.
func (s *memoryStore) TempDir() string { return "" }

// Scratch implements Store. What does not outlast the process needs none.
func (s *memoryStore) Scratch(string) influence.Scratch { return nil }

var (
	_ Store = (*DirStore)(nil)
	_ Store = (*memoryStore)(nil)
)
