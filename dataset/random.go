package dataset

import "math/rand/v2"

// purpose separates the streams of one seed. The numbers are part of what a seed means: they never change.
type purpose uint64

const (
	purposeSplit purpose = iota + 1
	purposeSample
	purposeNoise
	purposeShapeLabels
	purposeShape
	purposeAugment
	purposeSymmetry
	purposeDegrade
	purposePair
	purposePatches
	purposeLeaves
	purposeBadPairs
)

// stream returns the generator of one purpose and index under a seed; see the package comment.
func stream(seed uint64, p purpose, index uint64) *rand.Rand {
	h := splitMix64(splitMix64(splitMix64(seed)+uint64(p)) + index)
	return rand.New(rand.NewPCG(h, splitMix64(h)))
}

// epochStream returns the generator of one purpose, epoch and index under a seed.
func epochStream(seed uint64, p purpose, epoch, index uint64) *rand.Rand {
	return stream(splitMix64(splitMix64(seed)+epoch), p, index)
}

// splitMix64 is one step of SplitMix64: a bijection that spreads every bit of x over the whole word.
func splitMix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
