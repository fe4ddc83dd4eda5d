package datadropout

import (
	"time"

	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/train"
)

// Store keeps what a run has finished, so that a later run with the same settings continues from there. A finished
// training is named by a key such as "full/0" (arm and seed number).
type Store interface {
	// Model returns the model saved under the key and the seconds its training took; ok is false when there is none.
	Model(key string) (m *train.Model, seconds float64, ok bool, err error)
	// Of returns what the training or the scores saved under the key were made of; empty where there is nothing.
	Of(key string) string
	// SaveModel saves the model of a finished training, of is what it was made of, and removes what the scratch of the key holds.
	SaveModel(key, of string, m *train.Model, seconds float64) error
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
	// SaveScores saves removal effects, of is what they were made of, and removes what the scratch of the key holds.
	SaveScores(key, of string, s *influence.Scores, seconds float64) error
	// TempDir returns the folder for files that hold what does not fit in memory; empty for the system's.
	TempDir() string
	// Scratch returns where a training, or the estimation of scores, under the key keeps on the way how far it is; nil for nowhere.
	Scratch(key string) influence.Scratch
	// KeepEvery is the time after which unfinished work is kept in its scratch again.
	KeepEvery() time.Duration
}

// memoryStore is the Store of a run that leaves nothing on disk.
type memoryStore struct {
	models  map[string]*train.Model
	records map[string]*train.Record
	seconds map[string]float64
	of      map[string]string
	scores  map[string]*influence.Scores
	curves  map[string][]float64
}

// NewMemoryStore returns a Store that lives and dies with the process.
func NewMemoryStore() Store {
	return &memoryStore{
		models: map[string]*train.Model{}, records: map[string]*train.Record{}, seconds: map[string]float64{}, of: map[string]string{}, scores: map[string]*influence.Scores{},
		curves: map[string][]float64{},
	}
}

func (s *memoryStore) Model(key string) (*train.Model, float64, bool, error) {
	m, ok := s.models[key]
	return m, s.seconds[key], ok, nil
}

func (s *memoryStore) Of(key string) string { return s.of[key] }

func (s *memoryStore) SaveModel(key, of string, m *train.Model, seconds float64) error {
	s.models[key], s.of[key], s.seconds[key] = m, of, seconds
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

func (s *memoryStore) SaveScores(key, of string, scores *influence.Scores, seconds float64) error {
	s.scores[key], s.of[key], s.seconds[key] = scores, of, seconds
	return nil
}

// TempDir implements Store.
func (s *memoryStore) TempDir() string { return "" }

// Scratch implements Store. What does not outlast the process needs none.
func (s *memoryStore) Scratch(string) influence.Scratch { return nil }

// KeepEvery implements Store.
func (s *memoryStore) KeepEvery() time.Duration { return 0 }

var _ Store = (*memoryStore)(nil)
