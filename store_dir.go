package datadropout

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/train"
)

// DirStore is the Store of a run directory: checkpoints/ and state.json. Whoever opens one to write holds the directory's
// [durable.Lock]. Of a training, a checkpoint that was deleted makes it one that is not finished.
type DirStore struct {
	// Every is what KeepEvery returns; 0 means half a minute.
	Every time.Duration

	dir   string
	state state
	// pending holds the checksums of files of trainings that are not finished, by key and name.
	pending map[string]map[string]string
}

var _ Store = (*DirStore)(nil)

// HoldsRun says whether the directory already holds a run, finished or not.
func HoldsRun(dir string) bool {
	for _, name := range []string{stateFile, "result.json", "config.yaml", filepath.Join(checkpointDir, stateFile)} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// runFiles are the files and folders of a run directory.
var runFiles = []string{"config.yaml", "result.json", "scores.csv", "drop.csv", "images.csv", "keep.txt", "curves.csv", "page.json", "report.html",
	"retrain.json", durable.SumsFile, stateFile, checkpointDir}

// RemoveRun deletes the files of a run from the directory, and nothing else in it.
func RemoveRun(dir string) error {
	for _, name := range runFiles {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// OpenDirStore opens the run directory's store and creates it where there is none. A store of other settings, other
// data or another version is a *[DiffersError], and what is damaged a *[durable.DamagedError]; see [CheckStore].
func OpenDirStore(dir string, is Identity) (*DirStore, error) {
	s, differences, err := openDirStore(dir, is)
	if err == nil && len(differences) > 0 {
		return nil, &DiffersError{dir, differences}
	}
	return s, err
}

// AmendDirStore is OpenDirStore that takes other settings for the directory's from now on, and says which were others. What is
// finished stays as far as it was made of the same.
func AmendDirStore(dir string, is Identity) (*DirStore, []Difference, error) {
	s, differences, err := openDirStore(dir, is)
	if err != nil {
		return nil, nil, err
	}
	if fixed := slices.DeleteFunc(slices.Clone(differences), func(d Difference) bool {
		return d.Setting != DifferentData && d.Setting != DifferentLabels && d.Setting != DifferentVersion
	}); len(fixed) > 0 {
		return nil, nil, &DiffersError{dir, fixed}
	}
	s.state.Identity = is
	return s, differences, s.state.save(dir)
}

func openDirStore(dir string, is Identity) (*DirStore, []Difference, error) {
	s := &DirStore{dir: dir, pending: map[string]map[string]string{}}
	found, err := openState(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Join(dir, checkpointDir), 0o755); err != nil {
			return nil, nil, &durable.WriteError{Path: filepath.Join(dir, checkpointDir), Err: err}
		}
		s.state = state{Schema: stateSchema, Identity: is, Done: map[string]finished{}}
		return s, nil, s.state.save(dir)
	}
	if err != nil {
		return nil, nil, err
	}
	s.state = *found
	for key := range s.state.Done { // of a process that was killed just before it did so
		if err := s.clear(key); err != nil {
			return nil, nil, err
		}
	}
	return s, is.differences(found.Identity), nil
}

// ReadDirStore opens a run directory's store to ask what is finished, and writes nothing. A directory without a store is an error of
// [fs.ErrNotExist]; other errors are those of [OpenDirStore].
func ReadDirStore(dir string, is Identity) (*DirStore, error) {
	found, err := openState(dir)
	if err != nil {
		return nil, err
	}
	if differences := is.differences(found.Identity); len(differences) > 0 {
		return nil, &DiffersError{dir, differences}
	}
	return &DirStore{dir: dir, state: *found, pending: map[string]map[string]string{}}, nil
}

// Sweep removes what processes that were killed have left half written in a run directory, but of the others: files that are written
// without the directory's lock.
func Sweep(dir string, others ...string) error {
	checkpoints := filepath.Join(dir, checkpointDir)
	if err := errors.Join(durable.Sweep(dir, others...), durable.Sweep(checkpoints)); err != nil {
		return err
	}
	left, err := durable.Glob(checkpoints, train.ReplayFiles)
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// CheckStore compares every file of the store in a run directory with its checksum, and tells of each by its path from there:
// nil, a *[durable.DamagedError], or an error of [fs.ErrNotExist] for one that is gone. A directory without a store is an error
// of that kind; a damaged state another one.
func CheckStore(dir string, tell func(name string, err error)) error {
	found, err := openState(dir)
	if err != nil {
		return err
	}
	s := &DirStore{dir: dir, state: *found}
	partial, err := durable.Glob(filepath.Join(dir, checkpointDir), "*"+partialExtension)
	if err != nil {
		return err
	}
	for _, path := range []string{stateFile, filepath.Join(checkpointDir, stateFile)} {
		_, err := os.Stat(filepath.Join(dir, path))
		if errors.Is(err, fs.ErrNotExist) && len(s.state.Done)+len(partial) == 0 {
			continue // of a process that was killed when it had written the first of the two, and nothing else
		}
		tell(path, err)
	}
	for _, key := range slices.Sorted(maps.Keys(s.state.Done)) {
		d := s.state.Done[key]
		for _, name := range slices.Sorted(maps.Keys(d.Files)) {
			path := filepath.Join(dir, checkpointDir, name)
			tell(filepath.Join(checkpointDir, name), durable.Verify(path, d.Files[name], s.remedy(path)))
		}
	}
	for _, path := range partial {
		tell(filepath.Join(checkpointDir, filepath.Base(path)), durable.VerifySeal(path, s.remedy(path)))
	}
	return nil
}

// remedy says what to do about a damaged file.
func (s *DirStore) remedy(path string) string {
	again := "what it holds is trained again"
	switch {
	case filepath.Ext(path) == partialExtension:
		again = "what it kept of unfinished work is done again"
	case filepath.Ext(path) == ".json":
		again = "the scores are computed again"
	}
	return fmt.Sprintf("delete it: %s by datadropout run --resume --out %s", again, durable.ShellWord(s.dir))
}

// path is the file that keeps what is saved under a key.
func (s *DirStore) path(key, extension string) string {
	return filepath.Join(s.dir, checkpointDir, fileName(key, extension))
}

func fileName(key, extension string) string { return strings.ReplaceAll(key, "/", "-") + extension }

// finished returns what is known of a key, if its files are all there.
func (s *DirStore) finished(key string) (finished, bool) {
	d, ok := s.state.Done[key]
	for name := range d.Files {
		if _, err := os.Stat(filepath.Join(s.dir, checkpointDir, name)); errors.Is(err, fs.ErrNotExist) {
			return finished{}, false
		}
	}
	return d, ok
}

// undo makes a key one that is not finished, because it is made anew: a kill must not leave new files beside the checksums of old
// ones.
func (s *DirStore) undo(key string) error {
	d, ok := s.state.Done[key]
	if !ok {
		return nil
	}
	delete(s.state.Done, key)
	if err := s.state.save(s.dir); err != nil {
		return err
	}
	for name := range d.Files {
		if err := os.Remove(filepath.Join(s.dir, checkpointDir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// put writes a file of a key that is not finished.
func (s *DirStore) put(key, extension string, encode func(io.Writer) error) error {
	if err := s.undo(key); err != nil {
		return err
	}
	sum, err := durable.Write(s.path(key, extension), encode)
	if err != nil {
		return err
	}
	if s.pending[key] == nil {
		s.pending[key] = map[string]string{}
	}
	s.pending[key][fileName(key, extension)] = hex.EncodeToString(sum[:])
	return nil
}

// finish notes that all files of a key are there, and removes those that its scratch holds.
func (s *DirStore) finish(key, of string, seconds float64) error {
	s.state.Done[key] = finished{Seconds: seconds, Of: of, Files: s.pending[key]}
	delete(s.pending, key)
	if err := s.state.save(s.dir); err != nil {
		return err
	}
	return s.clear(key)
}

// clear removes what the scratch of a finished key holds.
func (s *DirStore) clear(key string) error {
	parts, err := durable.Glob(s.TempDir(), fileName(key, ".*"+partialExtension))
	for _, part := range parts {
		err = errors.Join(err, os.Remove(part))
	}
	return err
}

// read reads a file of a finished key; nil where it has none of this kind.
func (s *DirStore) read(key, extension string) ([]byte, error) {
	d, ok := s.finished(key)
	sum, has := d.Files[fileName(key, extension)]
	if !ok || !has {
		return nil, nil
	}
	path := s.path(key, extension)
	return durable.ReadVerified(path, sum, s.remedy(path))
}

// unreadable is an error of a file whose checksum matches.
func (s *DirStore) unreadable(key, extension string, err error) error {
	path := s.path(key, extension)
	return &durable.DamagedError{Path: path, Reason: err.Error(), Remedy: s.remedy(path)}
}

// Model implements Store.
func (s *DirStore) Model(key string) (*train.Model, float64, bool, error) {
	raw, err := s.read(key, ".model")
	if raw == nil || err != nil {
		return nil, 0, false, err
	}
	m, err := train.DecodeModel(raw)
	if err != nil {
		return nil, 0, false, s.unreadable(key, ".model", err)
	}
	return m, s.state.Done[key].Seconds, true, nil
}

// Of implements Store.
func (s *DirStore) Of(key string) string {
	d, _ := s.finished(key)
	return d.Of
}

// SaveModel implements Store.
func (s *DirStore) SaveModel(key, of string, m *train.Model, seconds float64) error {
	if err := s.put(key, ".model", m.Encode); err != nil {
		return err
	}
	return s.finish(key, of, seconds)
}

// Record implements Store.
func (s *DirStore) Record(key string) (*train.Record, bool, error) {
	raw, err := s.read(key, ".record")
	if raw == nil || err != nil {
		return nil, false, err
	}
	r, err := train.DecodeRecord(raw)
	if err != nil {
		return nil, false, s.unreadable(key, ".record", err)
	}
	return r, true, nil
}

// SaveRecord implements Store.
func (s *DirStore) SaveRecord(key string, r *train.Record) error {
	return s.put(key, ".record", r.Encode)
}

// Curve implements Store.
func (s *DirStore) Curve(key string) ([]float64, error) {
	raw, err := s.read(key, ".curve")
	if raw == nil || err != nil {
		return nil, err
	}
	var losses []float64
	if err := json.Unmarshal(raw, &losses); err != nil {
		return nil, s.unreadable(key, ".curve", err)
	}
	return losses, nil
}

// SaveCurve implements Store.
func (s *DirStore) SaveCurve(key string, losses []float64) error {
	return s.put(key, ".curve", func(w io.Writer) error { return json.NewEncoder(w).Encode(losses) })
}

// Scores implements Store.
func (s *DirStore) Scores(key string) (*influence.Scores, float64, bool, error) {
	raw, err := s.read(key, ".json")
	if raw == nil || err != nil {
		return nil, 0, false, err
	}
	scores := new(influence.Scores)
	if err := json.Unmarshal(raw, scores); err != nil {
		return nil, 0, false, s.unreadable(key, ".json", err)
	}
	return scores, s.state.Done[key].Seconds, true, nil
}

// SaveScores implements Store.
func (s *DirStore) SaveScores(key, of string, scores *influence.Scores, seconds float64) error {
	if err := s.put(key, ".json", func(w io.Writer) error { return json.NewEncoder(w).Encode(scores) }); err != nil {
		return err
	}
	return s.finish(key, of, seconds)
}

// partialExtension is that of the files of a scratch, which carry their checksum at their end.
const partialExtension = ".partial"

// TempDir implements Store: the folder of what is finished, so that it is on the disk that was chosen for the run.
func (s *DirStore) TempDir() string { return filepath.Join(s.dir, checkpointDir) }

// Scratch implements Store: a file for each name beside that of the scores.
func (s *DirStore) Scratch(key string) influence.Scratch { return &dirScratch{s, key} }

// KeepEvery implements Store.
func (s *DirStore) KeepEvery() time.Duration { return cmp.Or(s.Every, DefaultKeepEvery) }

// DefaultKeepEvery is half of the minute that a kill may cost.
const DefaultKeepEvery = 30 * time.Second

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
	if err := s.store.undo(s.key); err != nil {
		return err
	}
	_, err := durable.WriteFile(s.path(name), blob)
	return err
}
