// Package influence estimates, for every training sample, how the mean loss on a scoring set would change if the sample
// were removed from training.
//
// With theta the trained parameters, n training samples with losses l_i and L_val the mean loss of the scoring set, the
// influence of sample i and its removal effect are
//
//	phi_i   = -grad L_val(theta)^T (H + lambda I)^-1 grad l_i(theta)       (Koh and Liang, ICML 2017, eq. 2)
//	delta_i = -phi_i / n
//
// where H is the curvature of the mean training loss. delta_i < 0 says that removing sample i lowers the loss of the
// scoring set. Every estimator returns its scores as delta with this sign.
//
// Training minimizes (1/n) sum_i w_i l_i + (wd/2) |theta|^2 with all w_i = 1. Its L2 term has the Hessian wd I, so
// lambda is the recipe's weight decay plus a damping. Removing a sample means w_i = 0 with the factor 1/n kept; to
// train on the mean over the n-1 others instead raises the weight of all of them by 1/(n-1), which adds nearly the same
// number to every delta and leaves their sequence as it is.
//
// The estimators cg, lissa, arnoldi and ekfac differ in H and in how the system is solved: the Gauss-Newton matrix by its
// products, or a block-diagonal one with a known eigenbasis.
//
// The estimator metagradient differentiates the training itself instead, tracin adds up over checkpoints of it, and aum,
// el2n, forgetting and grand rank by what it recorded of the samples: see docs/method.md.
//
// All other curvature and gradient evaluations take batch norm at its frozen running statistics, so that a sample's loss is
// its own. They run in float32 on the backend, also where the network was trained with products in bfloat16; sums over batches and the
// solver are in float64.
package influence
