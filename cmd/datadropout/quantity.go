package main

import (
	"fmt"
	"math"
	"time"
)

// duration writes a length of time for people: 0.4 s, 12 s, 3m 20s, 2h 05m.
func duration(d time.Duration) string {
	switch s := d.Seconds(); {
	case s < 0:
		return "-" + duration(-d)
	case s < 0.05:
		return "0 s"
	case s < 9.95:
		return fmt.Sprintf("%.1f s", s)
	case s < 59.5:
		return fmt.Sprintf("%.0f s", s)
	case s < 3599.5:
		whole := int(math.Round(s))
		return fmt.Sprintf("%dm %02ds", whole/60, whole%60)
	default:
		minutes := int(math.Round(s / 60))
		return fmt.Sprintf("%dh %02dm", minutes/60, minutes%60)
	}
}

// size writes a number of bytes for people.
func size(n int64) string {
	if n < 1e9 {
		return fmt.Sprintf("%.0f MB", math.Ceil(float64(n)/1e6))
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// span writes two lengths of time, or one where they are written alike.
func span(least, most float64) string {
	a, b := duration(seconds(least)), duration(seconds(most))
	if a == b {
		return b
	}
	return a + " to " + b
}
