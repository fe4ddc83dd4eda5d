package net

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/datadropout/datadropout/internal/nearest"
)

// variant is how the networks of the zoo differ that share a name: parameters and layers are the same.
type variant struct {
	activation string
	meanPool   bool
}

// activations are the activation functions by name. relu has a kink; the others have derivatives of every order.
var activations = map[string]func(b *builder){
	"relu":     (*builder).relu,
	"gelu":     (*builder).gelu,
	"silu":     (*builder).silu,
	"softplus": (*builder).softplus,
	"tanh":     (*builder).tanh,
}

// poolings are the ways to pool by name.
var poolings = map[string]bool{"max": false, "avg": true}

// smoothSuffix names the variant with gelu and avg.
const smoothSuffix = "-smooth"

// Activations and Poolings list the names of a variant's parts, sorted; relu and max are the defaults.
func Activations() []string { return slices.Sorted(maps.Keys(activations)) }

// Poolings lists the ways to pool; see [Activations].
func Poolings() []string { return slices.Sorted(maps.Keys(poolings)) }

// Variant returns the name of a network with another activation function, another pooling, or both; an empty part stays
// what it is: Variant("cnn", "silu", "avg") is "cnn+silu+avg". A variant has one name, so applying a part twice changes nothing,
// and with gelu and avg it is the name with -smooth. A name that New does not know is only put together.
func Variant(name, activation, pooling string) string {
	for _, part := range []string{activation, pooling} {
		if part != "" {
			name += "+" + part
		}
	}
	base, v, err := parse(name)
	switch {
	case err != nil:
		return name
	case v == (variant{"gelu", true}):
		return base + smoothSuffix
	}
	if v.activation != "relu" {
		base += "+" + v.activation
	}
	if v.meanPool {
		base += "+avg"
	}
	return base
}

// parse takes a name apart. The last of several activation functions or poolings counts.
func parse(name string) (base string, v variant, err error) {
	v.activation = "relu"
	parts := strings.Split(name, "+")
	base = parts[0]
	if short, ok := strings.CutSuffix(base, smoothSuffix); ok {
		base, v = short, variant{"gelu", true}
	}
	if _, ok := lookup(base); !ok {
		return "", v, fmt.Errorf("unknown network %q%s", base, nearest.Among(base, Names()))
	}
	for _, part := range parts[1:] {
		mean, isPooling := poolings[part]
		switch {
		case isPooling:
			v.meanPool = mean
		case activations[part] != nil:
			v.activation = part
		default:
			return "", v, fmt.Errorf("network %s: unknown activation function or pooling %q%s", base, part, nearest.Among(part, append(Activations(), Poolings()...)))
		}
	}
	return base, v, nil
}

// gelu adds x Phi(x), with Phi the distribution function of the standard normal (Hendrycks and Gimpel 2016,
// arXiv:1606.08415), exactly: x (1 + erf(x/sqrt 2)) / 2.
func (b *builder) gelu() {
	b.add(func(_ *flow, x *Node) *Node {
		return Mul(MulScalar(x, 0.5), OnePlus(Erf(MulScalar(x, 1/math.Sqrt2))))
	})
}

// silu adds x / (1 + exp(-x)) (Elfwing, Uchibe and Doya 2018, arXiv:1702.03118).
func (b *builder) silu() {
	b.add(func(_ *flow, x *Node) *Node { return Mul(x, Logistic(x)) })
}

// softplus adds log(1 + exp(x)) (Dugas et al., NIPS 2000), as x + log(1 + exp(-x)) where exp(x) could overflow: above 20, where
// the two agree to the last bit but for a constant that float32 does not hold.
func (b *builder) softplus() {
	b.add(func(_ *flow, x *Node) *Node {
		const large = 20
		big := GreaterThan(x, Scalar(x.Graph(), x.DType(), large))
		// The branch that is not taken must stay finite, or its derivative would make NaN of nothing.
		small := Where(big, ZerosLike(x), x)
		return Where(big, x, Log(OnePlus(Exp(small))))
	})
}

// tanh adds the hyperbolic tangent.
func (b *builder) tanh() {
	b.add(func(_ *flow, x *Node) *Node { return Tanh(x) })
}
