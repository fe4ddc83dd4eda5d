package datadropout

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// deciding returns the settings that decide the result. Those that do not change a bit of it, such as the number of threads and
// the bounds on memory and disk, are left out; so is where files lie whose content counts.
func (c Config) deciding() Config {
	c.Threads, c.DataDir = 0, ""
	c.LabelNoiseMatrix, c.NoisyLabels = "", ""
	c.Influence.Memory, c.Influence.Disk, c.DataMemory = 0, 0, 0
	c.Denoise.TestDir, c.Denoise.NoisyDir, c.Denoise.NoisyTestDir = named(c.Denoise.TestDir), named(c.Denoise.NoisyDir), named(c.Denoise.NoisyTestDir)
	return c
}

// Fingerprint is a hash of the version, of the settings that decide the result and of the data.
func Fingerprint(c Config, d *Data) (string, error) {
	settings, err := json.Marshal(c.deciding())
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n", Version(), settings, d.Hash)
	if labels := d.LabelsHash(c); labels != "" {
		fmt.Fprintln(h, labels)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Identity is what a run directory is bound to: the version of the program, the data and the settings.
type Identity struct {
	Version string `json:"version"`
	// Data is the content hash of the data, and Labels that of labels from a file beside it, or empty.
	Data   string `json:"data_hash"`
	Labels string `json:"labels_hash,omitempty"`
	// Settings are those of config.yaml, all of them.
	Settings map[string]any `json:"settings"`
}

// NewIdentity returns that of a run with the settings on the data.
func NewIdentity(c Config, d *Data) (Identity, error) {
	id := Identity{Version: Version(), Data: d.Hash, Labels: d.LabelsHash(c)}
	raw, err := yaml.Marshal(c)
	if err != nil {
		return id, err
	}
	return id, yaml.Unmarshal(raw, &id.Settings)
}

// idle are the keys of the settings that [Config.deciding] leaves out.
var idle = []string{"threads", "data_dir", "label_noise_matrix", "noisy_labels", "influence.memory", "influence.disk", "data_memory",
	"denoise.test_dir", "denoise.noisy_dir", "denoise.noisy_test_dir"}

// Difference is a setting that was another one when a run began: a key of config.yaml such as recipe.epochs, or one of
// the Different constants. Values are as config.yaml has them, empty where the setting is not there.
type Difference struct{ Setting, Was, Is string }

// What beside settings may be different.
const (
	DifferentData    = "data_hash"
	DifferentLabels  = "labels_hash"
	DifferentVersion = "version"
)

// differences lists what was another one before and decides the result: settings first, in alphabetical order.
func (id Identity) differences(was Identity) []Difference {
	var all []Difference
	before, now := map[string]string{}, map[string]string{}
	flatten("", was.Settings, before)
	flatten("", id.Settings, now)
	keys := maps.Clone(before)
	maps.Copy(keys, now)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if before[key] != now[key] && !slices.Contains(idle, key) {
			all = append(all, Difference{key, before[key], now[key]})
		}
	}
	for _, d := range []Difference{{DifferentData, was.Data, id.Data}, {DifferentLabels, was.Labels, id.Labels}, {DifferentVersion, was.Version, id.Version}} {
		if d.Was != d.Is {
			all = append(all, d)
		}
	}
	return all
}

// flatten writes the values of nested settings under keys such as recipe.epochs, as texts.
func flatten(prefix string, settings map[string]any, into map[string]string) {
	for key, v := range settings {
		switch v := v.(type) {
		case map[string]any:
			flatten(prefix+key+".", v, into)
		case string:
			into[prefix+key] = v
		default:
			// Numbers, lists and truth values, which JSON can write.
			raw, _ := json.Marshal(v)
			into[prefix+key] = string(raw)
		}
	}
}

// DiffersError says that a run directory is bound to something else, and to what.
type DiffersError struct {
	Dir         string
	Differences []Difference
}

// Error implements error.
func (e *DiffersError) Error() string { return e.Words(func(key string) string { return key }) }

// Words is the message with settings under the names that a user gives them by.
func (e *DiffersError) Words(name func(key string) string) string {
	return fmt.Sprintf("%s: the run there is another one: %s; continue it as it was, or start over with --force", e.Dir, Changes(e.Differences, name))
}

// Changes lists differences in words.
func Changes(differences []Difference, name func(key string) string) string {
	var list []string
	for _, d := range differences {
		var what string
		was, is := shown(d.Was), shown(d.Is)
		switch d.Setting {
		case DifferentData:
			what, was, is = "the content hash of the data", brief(was), brief(is)
		case DifferentLabels:
			what, was, is = "the hash of the labels", brief(was), brief(is)
		case DifferentVersion:
			what = "the version of the program"
		default:
			what = name(d.Setting)
		}
		list = append(list, fmt.Sprintf("%s was %s and is %s", what, was, is))
	}
	return strings.Join(list, "; ")
}

func shown(v string) string {
	if v == "" {
		return "not set"
	}
	return v
}

func brief(hash string) string { return hash[:min(12, len(hash))] }

// decodeJSON keeps numbers as they are written, so that what it reads is written again to the same bytes.
func decodeJSON(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(into)
}

// named says whether a folder is set, for settings where what it holds counts, and not where it lies.
func named(dir string) string {
	if dir == "" {
		return ""
	}
	return "a folder"
}
