// Package dataset holds what networks are trained and judged on: labeled images, the readers that fill them, the
// procedural set that needs no files, splits, planted label noise for experiments, augmentation, content hashes, and the inspection of a set
// before anything is trained on it.
//
// Training and scoring see a data set only as a [Source]. [Images] is the Source for classification. A way through the
// package, from files to a ready training set:
//
//	train, test, err := dataset.OpenDir("fashion-mnist", dir)  // or dataset.Shapes(n, seed), or OpenPictures for images of one's own
//	all, err := dataset.Concat(train, test)
//	split, err := dataset.NewSplit(all.Labels, pool, official, dataset.Sizes{Train: 4000}, seed)
//	noisy, err := all.WithLabelNoise(0.2, split.Train, seed)   // an experiment's means: remembers what it planted
//	noisy.Mean, noisy.Std = noisy.ChannelStats(split.Train)
//
// # Randomness
//
// Everything random is a pure function of a seed: the same bits on every run, whatever the number of threads. A purpose
// (splitting, noise, drawing a shape, augmenting) and an index have a stream of their own: a PCG-DXSM generator of math/rand/v2 whose
// two words of state come from the seed, the purpose and the index through SplitMix64 (Steele, Lea and Flood, "Fast
// splittable pseudorandom number generators", OOPSLA 2014). So streams of neighboring seeds are unrelated, and drawing more
// of one thing doesn't shift another.
//
// # Errors
//
// Input that is missing, unreadable or damaged is an [*InputError]; a name that no data set has, an [*UnknownSetError]; a
// draw from too few samples, a [*TooFewError]. A message is one line.
package dataset
