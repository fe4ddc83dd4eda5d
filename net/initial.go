package net

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// Initializer writes the initial values of a tensor with the given dimensions into dst.
type Initializer func(rng *rand.Rand, dims []int, dst []float32)

// fans returns the number of inputs and of outputs that a weight tensor connects: for dims [..., in, out] the window
// size times in, and times out.
func fans(dims []int) (in, out int) {
	window := 1
	for _, d := range dims[:len(dims)-2] {
		window *= d
	}
	return window * dims[len(dims)-2], window * dims[len(dims)-1]
}

// HeNormal draws from a normal distribution with variance 2/fan-in, which keeps the variance of activations through
// layers that end in ReLU (He et al. 2015, arXiv:1502.01852, eq. 10).
func HeNormal(rng *rand.Rand, dims []int, dst []float32) {
	in, _ := fans(dims)
	sd := math.Sqrt(2 / float64(in))
	for i := range dst {
		dst[i] = float32(sd * rng.NormFloat64())
	}
}

// GlorotUniform draws uniformly from +-sqrt(6/(fan-in + fan-out)) (Glorot and Bengio 2010, eq. 16).
func GlorotUniform(rng *rand.Rand, dims []int, dst []float32) {
	in, out := fans(dims)
	limit := math.Sqrt(6 / float64(in+out))
	for i := range dst {
		dst[i] = float32(limit * (2*rng.Float64() - 1))
	}
}

// AllZeros writes zeros.
func AllZeros(_ *rand.Rand, _ []int, dst []float32) { clear(dst) }

// AllOnes writes ones.
func AllOnes(_ *rand.Rand, _ []int, dst []float32) {
	for i := range dst {
		dst[i] = 1
	}
}

// Init returns the initial parameters, of length Size, and the initial state, of length StateSize, for a seed. Every
// tensor has a stream of random numbers of its own, so adding a layer does not change the values of the others before it.
func (n *Network) Init(seed uint64) (theta, state []float32) {
	return initialize(n.Params, seed, 0), initialize(n.State, seed, 1)
}

func initialize(params []Param, seed uint64, kind byte) []float32 {
	values := make([]float32, size(params))
	at := 0
	for i, p := range params {
		var key [32]byte
		copy(key[:], "weights")
		key[15] = kind
		binary.LittleEndian.PutUint64(key[16:], seed)
		binary.LittleEndian.PutUint64(key[24:], uint64(i))
		next := at + product(p.Dims)
		p.Init(rand.New(rand.NewChaCha8(key)), p.Dims, values[at:next])
		at = next
	}
	return values
}
