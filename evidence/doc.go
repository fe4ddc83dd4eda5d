// Package evidence measures how good removal effects are, by what they are meant to predict: training again without the
// samples.
//
// A [Study] holds a data set, a network with its recipe, and the retrainings done so far. [Study.Run] scores the training
// samples with every estimator asked for, and compares:
//
//   - loo: the change of the score loss when single samples, or groups of k, are left out;
//   - lds: the same for random subsets of a share of the training samples, the linear datamodeling score of Park et al.
//     (TRAK, ICML 2023, arXiv:2303.14186, equation 1) after Ilyas et al. (Datamodels, ICML 2022);
//   - group: what dropping the most harmful and the most helpful samples does, against as many random ones;
//   - mislabel: where planted wrong labels stand in the sequence from the most harmful sample.
//
// Everything is paired by seed: a retraining starts from the initial weights and the order source of the full training of
// its seed. Every setting is fixed before the first retraining, and no score sees one. Retrainings are kept on disk by
// content, so an interrupted study goes on where it stopped and one with more estimators repeats none.
package evidence
