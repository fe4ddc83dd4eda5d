package cpu

import (
	"time"

	"github.com/gomlx/compute"
)

// NewReference makes the sequential pure-Go backend that tests compare with.
var NewReference = newReference

// Trace calls f after every step that the backend executes.
func Trace(b compute.Backend, f func(step string, d time.Duration)) { b.(*Backend).trace = f }

// ArenaBytes is the scratch memory that the largest idle arena of the backend has.
func ArenaBytes(b compute.Backend) int {
	free := b.(*Backend).arenas.free
	if len(free) == 0 {
		return 0
	}
	return len(free[len(free)-1])
}
