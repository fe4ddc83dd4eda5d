package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"

	"github.com/datadropout/datadropout/durable"
)

// Retraining is what is measured of a training: the losses of the score and the test samples, and the test samples'
// metric, each in the order of its split.
type Retraining struct {
	ScoreLoss, TestLoss, TestMetric []float32
}

// retrainingKey names a retraining by its content: the setting (data, network, recipe, version), the seed, and the
// positions trained on, in ascending order.
func retrainingKey(setting string, seed uint64, kept []int) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d\n%d\n", setting, seed, len(kept))
	for _, i := range kept {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(i))
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// cache keeps retrainings in memory and, with a folder, on disk: a file each, named by its key. It is safe for concurrent
// use.
type cache struct {
	dir   string
	mutex sync.Mutex
	held  map[string]*Retraining
}

// openCache opens the cache in the folder, which is made if it is not there. Without a folder nothing reaches the disk.
func openCache(dir string) (*cache, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	return &cache{dir: dir, held: map[string]*Retraining{}}, nil
}

func (c *cache) path(key string) string { return filepath.Join(c.dir, key+".retraining") }

// get returns the retraining of the key, nil where there is none. A file that is damaged counts as none.
func (c *cache) get(key string) (*Retraining, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if r := c.held[key]; r != nil || c.dir == "" {
		return r, nil
	}
	raw, err := os.ReadFile(c.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := decodeRetraining(key, raw)
	if r != nil {
		c.held[key] = r
	}
	return r, nil
}

// put keeps a retraining. Its file appears complete or not at all.
func (c *cache) put(key string, r *Retraining) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.held[key] = r
	if c.dir == "" {
		return nil
	}
	if _, err := durable.WriteFile(c.path(key), encodeRetraining(key, r)); err != nil {
		return fmt.Errorf("keeping a retraining: %w", err)
	}
	return nil
}

// The file: magic, the key, the lengths of the three vectors as uint32, the vectors as float32, and the SHA-256 of all that;
// all numbers little endian.
const retrainingMagic = "ddretrained 1\n"

func encodeRetraining(key string, r *Retraining) []byte {
	b := append([]byte(retrainingMagic), key...)
	vectors := [][]float32{r.ScoreLoss, r.TestLoss, r.TestMetric}
	for _, v := range vectors {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(v)))
	}
	for _, v := range vectors {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeRetraining returns nil for anything but a file of the key that encodeRetraining wrote.
func decodeRetraining(key string, raw []byte) *Retraining {
	head := append([]byte(retrainingMagic), key...)
	body := len(raw) - sha256.Size
	if body < len(head)+12 || !bytes.HasPrefix(raw, head) {
		return nil
	}
	if sum := sha256.Sum256(raw[:body]); !bytes.Equal(sum[:], raw[body:]) {
		return nil
	}
	lengths, values := raw[len(head):len(head)+12], raw[len(head)+12:body]
	var vectors [3][]float32
	for k := range vectors {
		n := uint64(binary.LittleEndian.Uint32(lengths[4*k:]))
		if 4*n > uint64(len(values)) {
			return nil
		}
		vectors[k] = make([]float32, n)
		for i := range vectors[k] {
			vectors[k][i] = math.Float32frombits(binary.LittleEndian.Uint32(values[4*i:]))
		}
		values = values[4*n:]
	}
	if len(values) != 0 {
		return nil
	}
	return &Retraining{ScoreLoss: vectors[0], TestLoss: vectors[1], TestMetric: vectors[2]}
}
