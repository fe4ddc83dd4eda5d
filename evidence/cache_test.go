package evidence

import (
	"bytes"
	"os"
	"reflect"
	"testing"
)

func TestRetrainingKeyTellsContentsApart(t *testing.T) {
	key := retrainingKey("setting", 1, []int{1, 2, 3})
	if again := retrainingKey("setting", 1, []int{1, 2, 3}); again != key {
		t.Errorf("the same content has the keys %s and %s", key, again)
	}
	for name, other := range map[string]string{
		"setting": retrainingKey("setting 2", 1, []int{1, 2, 3}), "seed": retrainingKey("setting", 2, []int{1, 2, 3}),
		"position": retrainingKey("setting", 1, []int{1, 2, 4}), "fewer": retrainingKey("setting", 1, []int{1, 2}),
	} {
		if other == key {
			t.Errorf("another %s, and the same key", name)
		}
	}
}

func TestCacheKeepsRetrainings(t *testing.T) {
	dir := t.TempDir()
	r := &Retraining{ScoreLoss: []float32{0.5, 1.25}, TestLoss: []float32{3}, TestMetric: []float32{1}}
	key := retrainingKey("setting", 1, []int{1})
	open := func() *cache {
		c, err := openCache(dir)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open()
	if found, err := c.get(key); found != nil || err != nil {
		t.Fatalf("an empty cache has %v (%v)", found, err)
	}
	if err := c.put(key, r); err != nil {
		t.Fatal(err)
	}
	if found, err := open().get(key); err != nil || !reflect.DeepEqual(found, r) {
		t.Errorf("read back %+v (%v), want %+v", found, err, r)
	}
	whole, err := os.ReadFile(c.path(key))
	if err != nil {
		t.Fatal(err)
	}
	// Nothing but the whole file of the key counts.
	for at := range whole {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		if decodeRetraining(key, damaged) != nil {
			t.Errorf("byte %d is wrong, and the file is taken", at)
		}
		if decodeRetraining(key, whole[:at]) != nil {
			t.Errorf("the file is cut to %d bytes, and taken", at)
		}
	}
	if decodeRetraining(key, append(bytes.Clone(whole), 0)) != nil {
		t.Error("the file is too long, and taken")
	}
	if decodeRetraining(retrainingKey("setting", 2, []int{1}), whole) != nil {
		t.Error("the file of another key is taken")
	}
	if err := os.WriteFile(c.path(key), whole[:40], 0o644); err != nil {
		t.Fatal(err)
	}
	if found, err := open().get(key); found != nil || err != nil {
		t.Errorf("a damaged file gives %v (%v), want nothing", found, err)
	}
}

func FuzzDecodeRetraining(f *testing.F) {
	key := retrainingKey("setting", 1, []int{1})
	whole := encodeRetraining(key, &Retraining{ScoreLoss: []float32{0.5, 1.25}, TestLoss: []float32{3}, TestMetric: []float32{1}})
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(retrainingMagic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r := decodeRetraining(key, raw); r != nil && !bytes.Equal(encodeRetraining(key, r), raw) {
			t.Errorf("%x is read as %+v, which is written otherwise", raw, r)
		}
	})
}
