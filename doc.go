// Package datadropout finds the training samples that hurt a convolutional network, drops them, trains again from
// scratch with identical settings, and measures on untouched test data whether that helped.
//
// The method is Data Dropout by Two-Round Training (Wang, Huan and Li, ICTAI 2018, arXiv:1809.00193), built on
// influence functions (Koh and Liang, ICML 2017, arXiv:1703.04730).
//
// # The two rounds
//
// Round 1 trains a network on all n training samples and ends at the parameters theta-hat. The influence of sample i
// on the mean validation loss L_val, per unit of its weight in the mean training loss, is
//
//	phi_i = -grad L_val(theta-hat)^T (H + lambda I)^-1 grad l_i(theta-hat)          (Koh & Liang, eq. 2)
//
// with H the Hessian of the mean training loss or its Gauss-Newton approximation. Removing the sample takes away the
// weight 1/n, so the predicted change of the validation loss, the removal effect, is
//
//	delta_i = -phi_i / n.
//
// delta_i < 0 says that removing sample i lowers the validation loss: the sample is unfavorable. A [Rule] turns the
// removal effects into the set to drop, and round 2 trains from scratch on the rest, with the same recipe, the same
// initial weights and the same source of sample order.
//
// # The proof
//
// Influence is computed on the score split, the amount to drop is chosen on the tune split, and the test split is read
// once at the end. [Run] trains four arms at every seed: full (round 1), dropped (round 2), random (as many dropped at
// random, the same number from every class) and highest_loss (as many of the highest training loss dropped). Seed k
// gives the same initial weights and order source in every arm, so the arms are compared by paired differences; see
// [Effect].
package datadropout
