// Package cpu is a backend for GoMLX that trains convolutional networks on CPUs: a
// [github.com/gomlx/compute.Backend] in Go and Go assembly, without cgo. [New] makes one; importing the package
// registers it under the name "cpu".
//
// # What runs where
//
// Float32 is computed here: products, convolutions with their gradients, pooling with its gradient, reductions,
// everything elementwise, and everything that moves elements (the latter for every type). An operation that has no
// native code for its types or its form is delegated, alone, to GoMLX's pure-Go backend, which runs it in one
// thread. A graph with control flow, functions or dynamic shapes is handed to the pure-Go backend as a whole.
// README.md lists the operations.
//
// # From a graph to a plan
//
// [Builder] and [Function] record operations, and issue every one of them on a builder of the pure-Go backend as well,
// the shadow: it infers the shapes, checks the arguments and merges common subexpressions. Compile then
//
//  1. drops what no output needs, and rewrites some operations into cheaper ones with the same values (simplify.go), or
//     with the same up to rounding: sums made of other sums (sums.go), sums in an order that suits multiply-adds
//     (regroup.go), and the derivative of max-pooling in forward mode (pick.go);
//  2. groups elementwise operations (fusion.go, merge.go). A group becomes a program (program.go) that evaluates tiles of
//     about a thousand elements, so that intermediate results stay in the first-level cache; it may end in sums (sink.go),
//     and contracts products with what is added to them (contract.go);
//  3. turns operations into steps, in order (planner.go, and a file for each family of operations). Reshape, Transpose,
//     Slice, BroadcastInDim and Reverse become views (view.go): they cost nothing until somebody needs the elements
//     one after the other. A kernel that takes strides doesn't: products and convolutions read transposed and
//     reversed operands where they lie. The operands of a concatenation are computed in place. A pooling and a program
//     next to it go image by image together, while an image is in the cache (chain.go);
//  4. finds out when each tensor is alive, lets steps write over inputs that die, lets outputs take the memory of donated
//     inputs, and packs the rest into one arena (plan.go).
//
// An execution takes an arena, runs the steps one after the other, each spread over the threads, and returns the
// arena. A steady training step allocates next to nothing: the memory of finalized buffers is kept for the next ones.
//
// # Results do not depend on the number of threads
//
// Steps are cut into parts by the shapes of tensors alone. No two parts write the same element, and the partial sums
// of a reduction are combined in a fixed order.
package cpu
