package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// screen is where progress is shown: lines that stay and, on a terminal, one below them that is drawn again and again.
type screen struct {
	w io.Writer
	// width returns the columns of the terminal; it is nil where a line can't be drawn again.
	width func() int
	color bool
	drawn bool
}

// newScreen looks at what w is. TERM=dumb means a terminal that draws no line again, and NO_COLOR (no-color.org) one without color.
func newScreen(w io.Writer, env func(string) string) *screen {
	s := &screen{w: w}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || env("TERM") == "dumb" {
		return s
	}
	s.color = env("NO_COLOR") == ""
	s.width = func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 {
			return 80
		}
		return width
	}
	return s
}

func (s *screen) redraws() bool { return s.width != nil }

// draw shows the line in place of the one that was drawn last. It is cut to the width of the terminal.
func (s *screen) draw(line string) {
	if !s.redraws() {
		return
	}
	s.drawn = true
	fmt.Fprint(s.w, "\r\x1b[K"+cutVisible(line, s.width()-1))
}

// print leaves the line above the one that is drawn.
func (s *screen) print(line string) {
	s.clear()
	fmt.Fprintln(s.w, line)
}

// clear takes away the line that is drawn.
func (s *screen) clear() {
	if s.drawn {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.drawn = false
	}
}

// Colors by their codes (ECMA-48).
const (
	bold  = "1"
	dim   = "2"
	green = "32"
)

func (s *screen) paint(code, text string) string {
	if !s.color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// cutVisible cuts a line to so many characters, not counting colors, which end with it.
func cutVisible(line string, width int) string {
	var b strings.Builder
	shown, colored := 0, false
	for len(line) > 0 {
		if strings.HasPrefix(line, "\x1b[") {
			end := strings.IndexByte(line, 'm') + 1
			if end > 0 {
				colored = line[:end] != "\x1b[0m"
				b.WriteString(line[:end])
				line = line[end:]
				continue
			}
		}
		r, size := utf8.DecodeRuneInString(line)
		if shown++; shown > max(0, width) {
			break
		}
		b.WriteRune(r)
		line = line[size:]
	}
	if colored {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}
