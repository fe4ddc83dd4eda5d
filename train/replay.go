package train

import (
	"fmt"
	"math"

	"github.com/datadropout/datadropout/net"
)

// cut says into how many segments to cut n steps that are to be gone through backwards with the given number of vectors,
// and whether the steps of the last segment can be recorded along with the checkpoints.
func cut(n, vectors int) (segments int, recorded bool) {
	for c := 1; c <= n; c++ {
		if 2*(c-1)+(n+c-1)/c <= vectors {
			return c, true
		}
	}
	return 2, false
}

// again counts the steps that going back through n steps carries out again: after the first walk, which reached the end,
// or with it.
func again(n, vectors int, walked bool) int {
	c, recorded := cut(n, vectors)
	steps := 0
	for j := c - 1; j >= 0; j-- {
		if j < c-1 || !recorded {
			steps += again((j+1)*n/c-j*n/c, vectors-2*j, false)
		}
	}
	switch {
	case walked:
	case recorded:
		steps += n - 1
	default:
		steps += n / 2
	}
	return steps
}

const (
	startVectors   = 2 // in memory, what the training starts from
	readingVectors = 2 // in memory, what is read from a file
)

// room is the number of vectors that there is a place for, beside the start and what is read from a file.
type room struct{ device, memory, disk int }

func (r room) vectors() int { return r.device + r.memory + r.disk }

// provision returns the vectors of the given size that the bounds have room for, beside the start; none where the start does not fit.
// Where there is a file, what is read from it takes memory too.
func provision(steps int, bytes int64, bounds Bounds) room {
	fit := func(bound int64) int { return int(min(bound/bytes, math.MaxInt32)) }
	memory := fit(bounds.Memory) - startVectors
	if memory < 0 {
		return room{}
	}
	r := room{device: min(fit(bounds.Device), steps), memory: memory}
	rest := steps - r.device
	if onDisk := min(fit(bounds.Disk), rest-(memory-readingVectors)); rest > memory && memory >= readingVectors && onDisk > readingVectors {
		r.memory -= readingVectors
		r.disk = onDisk
	}
	return r
}

// CheckReplay returns the error of [Engine.SpilledTrajectory] for bounds that are too small to go back through the training of n
// samples, without training; nil where they suffice.
func CheckReplay(network *net.Network, r Recipe, n int, bounds Bounds) error {
	return checkReplay(network, r.Steps(n), bounds)
}

func checkReplay(network *net.Network, steps int, bounds Bounds) error {
	bytes, least := vectorBytes(network), leastVectors(steps)
	if provision(steps, bytes, bounds).vectors() >= least {
		return nil
	}
	const mebi = 1 << 20
	up := func(vectors int) int64 { return (int64(vectors)*bytes + mebi - 1) / mebi }
	least = max(0, least-int(min(bounds.Device/bytes, math.MaxInt32)))
	onDevice := ""
	if bounds.Device > 0 {
		onDevice = fmt.Sprintf(" beside %.4g MiB of the device", float64(bounds.Device)/mebi)
	}
	return fmt.Errorf("going back through %d steps of %s takes at least %d MiB of memory%s, or %d MiB of memory and %d MiB of disk; the bounds are %.4g MiB of memory and %.4g MiB of disk",
		steps, network.Name, up(startVectors+least), onDevice, up(startVectors+readingVectors), up(least), float64(bounds.Memory)/mebi, float64(bounds.Disk)/mebi)
}

// Replay is what going back through a training takes.
type Replay struct {
	// Steps is the number of training steps carried out, those of the training itself among them.
	Steps int
	// Device, Memory and Disk are about the bytes that are kept at most.
	Device, Memory, Disk int64
}

// PlanReplay returns what [Engine.SpilledTrajectory] and [Trajectory.Backward] take for n samples within the bounds, without
// training; bounds that are too small give what they have room for.
func PlanReplay(network *net.Network, r Recipe, n int, bounds Bounds) Replay {
	steps, bytes := r.Steps(n), vectorBytes(network)
	room := provision(steps, bytes, bounds)
	vectors := room.vectors()
	if vectors < leastVectors(steps) {
		return Replay{Steps: steps, Device: bounds.Device, Memory: bounds.Memory, Disk: bounds.Disk}
	}
	inMemory := startVectors + min(room.memory, steps-room.device)
	if room.disk > 0 {
		inMemory += readingVectors
	}
	onDisk := max(0, min(vectors, steps)-room.device-room.memory)
	return Replay{
		Steps:  steps + again(steps, vectors, true),
		Device: int64(room.device) * bytes,
		Memory: int64(inMemory) * bytes,
		Disk:   int64(onDisk) * bytes,
	}
}

// leastVectors returns the fewest vectors with which n steps can be gone through backwards.
func leastVectors(n int) int {
	if n <= 2 {
		return n
	}
	least := 2 + leastVectors((n+1)/2)
	for c := 1; c <= n; c++ {
		least = min(least, 2*(c-1)+(n+c-1)/c)
	}
	return least
}

// vectorBytes is the memory of one step's parameters and state.
func vectorBytes(n *net.Network) int64 { return 4 * int64(n.Size()+n.StateSize()) }
