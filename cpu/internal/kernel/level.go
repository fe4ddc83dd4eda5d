package kernel

import (
	"fmt"
	"os"
	"sync/atomic"
)

// Level names a family of kernels. Higher levels are faster and need more of the machine.
type Level int32

// The levels.
const (
	Portable Level = iota // plain Go
	AVX2                  // amd64 with AVX2 and FMA
	AVX512                // amd64 with AVX-512 F, BW, DQ and VL
)

// LevelEnv is the environment variable that lowers the level of a process: portable, avx2 or avx512.
const LevelEnv = "DATADROPOUT_CPU_LEVEL"

func (l Level) String() string {
	switch l {
	case Portable:
		return "portable"
	case AVX2:
		return "avx2"
	case AVX512:
		return "avx512"
	}
	return fmt.Sprintf("Level(%d)", int32(l))
}

var level atomic.Int32

func init() {
	level.Store(int32(detected()))
	for _, l := range []Level{Portable, AVX2, AVX512} {
		if os.Getenv(LevelEnv) == l.String() {
			SetLevel(l)
		}
	}
}

// DetectedLevel returns the highest level that this machine and its operating system support.
func DetectedLevel() Level { return detected() }

// CurrentLevel returns the level in use.
func CurrentLevel() Level { return Level(level.Load()) }

// SetLevel switches the process to the given level, or to the highest supported one below it, and returns
// the level before. It is meant for tests and must not be called while kernels run.
func SetLevel(l Level) Level {
	return Level(level.Swap(int32(min(max(l, Portable), detected()))))
}

// tiles returns the micro-kernels of the current level.
func tiles() *tileSet {
	if s := tilesAt(CurrentLevel()); s != nil {
		return s
	}
	return &portableTiles
}
