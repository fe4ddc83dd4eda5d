package datadropout

import (
	"errors"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/train"
)

// TestConfigBounds: numbers that no machine can follow are refused before anything is made of them.
func TestConfigBounds(t *testing.T) {
	const huge = 1 << 62
	for says, change := range map[string]func(*Config){
		"the train split of shapes must be at most":             func(c *Config) { c.Train = 50_000_000 },
		"the size of the train split must be at most":           func(c *Config) { c.Train = huge },
		"the size of the test split must be at most 2000000000": func(c *Config) { c.Data, c.Test = "mnist", huge },
		"seeds must be at most":                                 func(c *Config) { c.Seeds = huge },
		"seeds must be at most 100000, got 4611686018427387904": func(c *Config) { c.InfluenceSeeds = huge },
		"threads must lie between 1 and 4096":                   func(c *Config) { c.Threads = huge },
		"threads must lie between 1 and 4096, or be 0":          func(c *Config) { c.Threads = -1 },
		"epochs must be at most":                                func(c *Config) { c.Recipe.Epochs = huge },
		"the memory of the device must not be negative":         func(c *Config) { c.DeviceMemory = -1 },
	} {
		c := DefaultConfig()
		change(&c)
		err := c.Validate()
		var usage *UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}

// TestDeviceMemory: where there is a device its memory decides which program trains, so it is a part of what a run is bound to; elsewhere it is none.
func TestDeviceMemory(t *testing.T) {
	for _, x := range []struct {
		backend    string
		asked, got int64
	}{
		{"cpu", 0, 0}, {"cpu", 1 << 30, 0}, {"go", 1 << 30, 0}, {"xla:cuda", 0, train.DefaultDeviceMemory}, {"xla:/lib/plugin.so", 1 << 30, 1 << 30},
	} {
		c := DefaultConfig()
		c.Backend, c.DeviceMemory = x.backend, x.asked
		c.resolve()
		if c.DeviceMemory != x.got || c.deciding().DeviceMemory != x.got {
			t.Errorf("%s, %d bytes asked for: %d, deciding %d, want %d", x.backend, x.asked, c.DeviceMemory, c.deciding().DeviceMemory, x.got)
		}
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	was, is := Identity{Settings: map[string]any{"device_memory": 1 << 30}}, Identity{Settings: map[string]any{"device_memory": 1 << 31}}
	if d := is.differences(was); len(d) != 1 || d[0].Setting != "device_memory" {
		t.Errorf("another memory of the device is the difference %+v", d)
	}
}

// TestConfigPrecision: what computes is refused where it does not go with the rest, and decides how the network computes.
func TestConfigPrecision(t *testing.T) {
	for says, change := range map[string]func(*Config){
		`unknown precision "bf16"`:                        func(c *Config) { c.Precision = "bf16" },
		`unknown precision ""`:                            func(c *Config) { c.Precision = "" },
		"the estimator metagradient repeats the training": func(c *Config) { c.Estimator, c.Deterministic = "metagradient", false },
		"": func(c *Config) { c.Precision, c.Estimator, c.Deterministic = "bfloat16", "cg", false },
	} {
		c := DefaultConfig()
		change(&c)
		err := c.Validate()
		var usage *UsageError
		if (says == "") != (err == nil) || says != "" && (!errors.As(err, &usage) || !strings.Contains(err.Error(), says)) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
	for _, precision := range []string{"auto", "float32", "tf32", "bfloat16"} {
		c := DefaultConfig()
		c.Precision = precision
		n, err := c.NewNetwork("softmax", [3]int{8, 8, 1}, 3)
		if err != nil || n.IsBFloat16() != (precision == "bfloat16") {
			t.Errorf("in %s the network computes in bfloat16: %v (%v)", precision, n.IsBFloat16(), err)
		}
		if _, err := c.NewNetwork("softmaxx", [3]int{8, 8, 1}, 3); err == nil {
			t.Error("an unknown network was made")
		}
	}
}

// A number may be text, as the name of a network, and is not taken for a fraction of a whole number.
func TestConfigNumbersAsText(t *testing.T) {
	c := DefaultConfig()
	if err := train.DecodeSettings([]byte("net: 1.5\nlabel_noise: 1\ndata_dir: 2.5\nrecipe: {learning_rate: 0.5, momentum: 0.0}\ninfluence: {damping: 1.5}\n"), &c); err != nil || c.Net != "1.5" || c.DataDir != "2.5" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, raw := range []string{"seeds: 2.5\n", "recipe: {epochs: 2.5}\n", "influence: {rank: 2.5}\n", "train: 2.5\n"} {
		if err := train.DecodeSettings([]byte(raw), &c); err == nil || err.Error() != `line 1: want a whole number, got "2.5"` {
			t.Errorf("%q: error %v", raw, err)
		}
	}
}

// FuzzConfig: whatever a config file holds, it is refused in one line or makes settings that can be validated.
func FuzzConfig(f *testing.F) {
	for _, raw := range []string{
		"task: classification\ndata: shapes\ntrain: 100\nrecipe:\n  epochs: 1\n  augmentation: crop:2,flip\nrule: count:3\n",
		"data: folder\ndata_dir: x\nimage_size: 48x64\nskip_unreadable: true\n",
		"estimator: lissa\ninfluence:\n  damping: .nan\n  rank: -1\n", "label_noise: -1\nlabel_noise_kind: pair\n",
		"seeds: 9223372036854775807\nseed: 18446744073709551615\n", "net: wrn-9999999-9999999-smooth+avg\n",
		"rule: significant:1e-400\n", "noisy_labels: 'a:b:c'\n", "[1, {a: *b}]\n", "threads: 0x7fffffffffffffff\n", "",
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := DefaultConfig()
		err := train.DecodeSettings(raw, &c)
		if err == nil {
			c.resolve()
			if err = c.Validate(); err == nil {
				return
			}
		} else if strings.Contains(err.Error(), "\n") {
			t.Fatalf("the error is not one line: %q", err)
		}
		if err.Error() == "" {
			t.Fatal("an error without a word")
		}
	})
}

// Images of one's own are called by their folder or file.
func TestDataName(t *testing.T) {
	for _, tt := range []struct{ data, dir, want string }{
		{"mnist", "/data/digits", "mnist"}, {"shapes", "", "shapes"}, {"folder", "/data/my photos", "my photos"}, {"folder", "photos/", "photos"},
		{"manifest", "lists/labels.csv", "labels.csv"}, {"parquet", "/", "parquet"}, {"folder", "", "folder"},
	} {
		c := Config{Data: tt.data, DataDir: tt.dir}
		if got := c.DataName(); got != tt.want {
			t.Errorf("%s in %q: %q, want %q", tt.data, tt.dir, got, tt.want)
		}
	}
}
