package dataset

import (
	"fmt"
	"strings"
)

// Unreadable is an image that can't be read, and why. Path says which: a path within the folder, in quotes if it is no text or holds control
// characters, or a record of a file.
type Unreadable struct {
	Path string
	Err  error
}

// UnreadableError lists the images of a folder or file, Dir, that can't be read.
type UnreadableError struct {
	Dir   string
	Files []Unreadable
}

// shownUnreadable bounds the lines of an UnreadableError.
const shownUnreadable = 20

// Error returns a line that counts the images and one for each of the first twenty.
func (e *UnreadableError) Error() string {
	return strings.Join(e.lines("can't be read (--skip-unreadable leaves them out)"), "\n")
}

func (e *UnreadableError) lines(what string) []string {
	noun := "images"
	if len(e.Files) == 1 {
		noun = "image"
	}
	lines := []string{fmt.Sprintf("%s: %d %s %s:", e.Dir, len(e.Files), noun, what)}
	for k, f := range e.Files {
		if k == shownUnreadable {
			return append(lines, fmt.Sprintf("  and %d more", len(e.Files)-k))
		}
		lines = append(lines, fmt.Sprintf("  %s: %v", f.Path, f.Err))
	}
	return lines
}
