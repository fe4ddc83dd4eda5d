package datadropout

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/datadropout/datadropout/durable"
)

const (
	stateFile     = "state.json"
	checkpointDir = "checkpoints"
	stateSchema   = 2
)

// state is the content of state.json, of which checkpoints/ holds a copy.
type state struct {
	Schema int `json:"schema"`
	Identity
	// Done holds what is finished, by key.
	Done map[string]finished `json:"done"`
	// Sum is the SHA-256 of the state as JSON with an empty Sum.
	Sum string `json:"sha256"`
}

// finished is a training or an estimation of scores whose files are all there.
type finished struct {
	Seconds float64 `json:"seconds"`
	Of      string  `json:"of"`
	// Files holds the SHA-256 of its files in checkpoints/, by name.
	Files map[string]string `json:"files"`
}

// encode returns the file's bytes: one state has one encoding, so that any other byte is a damage.
func (s state) encode() ([]byte, error) {
	s.Sum = ""
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	s.Sum = hex.EncodeToString(sum[:])
	if raw, err = json.MarshalIndent(s, "", "  "); err != nil {
		return nil, err
	}
	return append(raw, '\n'), nil
}

// readState reads a state file; one that is not there is an error of [fs.ErrNotExist].
func readState(path, remedy string) (*state, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := new(state)
	if err := decodeJSON(raw, s); err != nil {
		return nil, &durable.DamagedError{Path: path, Reason: "not a readable state file", Remedy: remedy}
	}
	if s.Schema != stateSchema && s.Sum == "" {
		return nil, fmt.Errorf("%s: a state file of schema %d, and this program reads %d: continue with the version that made it, or start over with --force", path, s.Schema, stateSchema)
	}
	if want, err := s.encode(); err != nil || !bytes.Equal(want, raw) {
		return nil, &durable.DamagedError{Path: path, Reason: "its checksum is not that of what was written", Remedy: remedy}
	}
	if s.Done == nil {
		s.Done = map[string]finished{}
	}
	return s, nil
}

// openState reads the state of a run directory, or its copy where it is not there. Where there is neither, that is an error of
// [fs.ErrNotExist].
func openState(dir string) (*state, error) {
	first, second := statePaths(dir)
	s, err := readState(first, "delete it: its copy "+second+" takes its place")
	copied, copyErr := readState(second, "delete it: it is a copy of "+first)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case copyErr != nil && !errors.Is(copyErr, fs.ErrNotExist):
		return nil, copyErr
	case err != nil:
		return copied, copyErr
	}
	return s, nil
}

func statePaths(dir string) (first, second string) {
	return filepath.Join(dir, stateFile), filepath.Join(dir, checkpointDir, stateFile)
}

// save writes the state and its copy.
func (s *state) save(dir string) error {
	raw, err := s.encode()
	if err != nil {
		return err
	}
	first, second := statePaths(dir)
	for _, path := range []string{second, first} {
		if _, err := durable.WriteFile(path, raw); err != nil {
			return err
		}
	}
	return nil
}

// StoredIdentity returns what a run directory is bound to. One without a state is an error of [fs.ErrNotExist].
func StoredIdentity(dir string) (Identity, error) {
	s, err := openState(dir)
	if err != nil {
		return Identity{}, err
	}
	return s.Identity, nil
}
