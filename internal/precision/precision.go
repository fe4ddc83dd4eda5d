// Package precision names what products are computed in.
package precision

import (
	"fmt"
	"slices"

	"github.com/datadropout/datadropout/internal/nearest"
)

// The precisions, by the names that settings have them under.
const (
	// Auto is TF32 on NVIDIA GPUs and Float32 elsewhere.
	Auto = "auto"
	// Float32 rounds nothing that goes into a product.
	Float32 = "float32"
	// TF32 lets NVIDIA GPUs round what goes into products and convolutions of float32 to 10 bits behind the leading one.
	TF32 = "tf32"
	// BFloat16 rounds what goes into products and convolutions of networks to 7 bits behind the leading one, where they are trained and
	// evaluated. Other products are those of Auto.
	BFloat16 = "bfloat16"
)

// Names lists the precisions.
var Names = []string{Auto, Float32, TF32, BFloat16}

// Check returns an error for a name that no precision has.
func Check(name string) error {
	if slices.Contains(Names, name) {
		return nil
	}
	return fmt.Errorf("unknown precision %q%s", name, nearest.Among(name, Names))
}
