package cpu

import (
	"time"

	"github.com/gomlx/compute"
)

// NewReference makes the sequential pure-Go backend that tests compare with.
var NewReference = newReference

// Trace calls f after every step that the backend executes.
func Trace(b compute.Backend, f func(step string, d time.Duration)) { b.(*Backend).trace = f }
