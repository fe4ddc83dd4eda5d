package dataset

// Source is what training, scoring and evaluation read: inputs and targets by position.
// Classification sets, folders of images and denoising pairs all fit into it.
// A Source is immutable and safe for concurrent use.
type Source interface {
	// Len returns the number of samples.
	Len() int
	// ID returns the stable name of the sample at a position, such as "train/00017".
	// It survives splitting, subsetting and label noise.
	ID(i int) string
	// InputDims returns the dimensions of one input, channels last: [height, width, channels].
	InputDims() []int
	// TargetDims returns the dimensions of one target: [classes] for a one-hot class,
	// [height, width, channels] for an image.
	TargetDims() []int
	// Fill writes the normalized input and the target of the sample at position i.
	// The slices have exactly the products of InputDims and TargetDims as lengths.
	Fill(i int, input, target []float32)
}

// Varying is a Source whose training samples differ from epoch to epoch: augmented, or with noise that is drawn anew. Fill
// then gives the sample as it is evaluated and scored.
type Varying interface {
	Source
	// FillEpoch is Fill for training from a seed: the sample as the epoch, counted from 0, shows it. The same seed, epoch and
	// position give the same bits, whatever was filled before.
	FillEpoch(i int, seed, epoch uint64, input, target []float32)
}

// Grouped is a Source whose samples depend on each other within groups, such as the patches of one image.
type Grouped interface {
	Source
	// Group returns the number of the group that the sample at a position is of.
	Group(i int) int
}

// Groups returns the group of each position, or nil if the source is not a [Grouped] one: then each sample is on its own.
func Groups(s Source, positions []int) []int {
	by, ok := s.(Grouped)
	if !ok {
		return nil
	}
	groups := make([]int, len(positions))
	for k, i := range positions {
		groups[k] = by.Group(i)
	}
	return groups
}
