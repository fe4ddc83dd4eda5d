// Package train carries out one round of training: stochastic gradient descent with momentum and weight decay over a
// fixed set of samples, from initial weights and an order of samples that the seed decides.
//
// A step with learning rate lr_t, momentum mu and weight decay wd on a batch with mean loss L is
//
//	m'     = mu m + grad L(theta) + wd theta
//	theta' = theta - lr_t m'
//
// or with Nesterov's momentum (Sutskever et al., ICML 2013, written for the point that the gradient is taken at)
//
//	theta' = theta - lr_t (grad L(theta) + wd theta + mu m')
//
// which minimizes the mean loss plus (wd/2) |theta|^2 (the L2 form of weight decay, not the decoupled one). Parameters
// and momentum stay on the device between steps, as flat vectors in the order of [net.Network.Params].
//
// A training set of 8-bit images lies on the device where that has a memory of its own, and many steps are one call: see
// [Engine.BoundDeviceMemory].
//
// A [Record] keeps what was seen of every sample along the way, and checkpoints, without a further run.
//
// A [Trajectory] is a training that can be gone through backwards, step by step, in bounded memory.
//
// The same seed gives the same bits on the same kind of machine, whatever the number of threads.
package train
