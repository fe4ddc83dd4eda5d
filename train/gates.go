package train

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"
)

// DrawGates writes into dst which residual blocks a step keeps, 1 or 0: block k with the probability survival[k], as
// [net.Network.Gates] lists them. They depend on the seed and the step, counted from 0, alone, so arms of a comparison that
// share a seed skip the same blocks, and a step that is replayed skips those it skipped before. dst has the length of survival.
func DrawGates(survival []float64, seed uint64, step int, dst []float32) {
	var key [32]byte
	copy(key[:], "gates of blocks")
	binary.LittleEndian.PutUint64(key[16:], seed)
	binary.LittleEndian.PutUint64(key[24:], uint64(step))
	rng := rand.New(rand.NewChaCha8(key))
	for k, p := range survival {
		dst[k] = 0
		if rng.Float64() < p {
			dst[k] = 1
		}
	}
}

// drawGates loads the gates of step t; a network without stochastic depth has none.
func (r *round) drawGates(t int) error {
	if r.gates == nil {
		return nil
	}
	return tensors.MutableFlatData(r.gates, func(gates []float32) { DrawGates(r.engine.net.Gates, r.seed, t, gates) })
}
