package dataset

import (
	"slices"
	"strings"
)

// label gives every picture the class of its name: classes are sorted, numbers in names by value, those that no picture has
// included.
func (c *collection) label(names []string, further ...string) {
	index := map[string]int{}
	for _, names := range [][]string{names, further} {
		for _, name := range names {
			if _, ok := index[name]; !ok {
				index[name] = 0
				c.classes = append(c.classes, name)
			}
		}
	}
	slices.SortFunc(c.classes, compareNatural)
	for k, name := range c.classes {
		index[name] = k
	}
	for i, name := range names {
		c.pictures[i].class = index[name]
	}
}

// compareNatural compares names with the numbers in them by value: class2 comes before class10.
func compareNatural(a, b string) int {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	for x, y := a, b; x != "" && y != ""; {
		if !digit(x[0]) || !digit(y[0]) {
			if x[0] != y[0] {
				return int(x[0]) - int(y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		i, j := strings.IndexFunc(x+"x", func(r rune) bool { return r < '0' || r > '9' }), strings.IndexFunc(y+"x", func(r rune) bool { return r < '0' || r > '9' })
		m, n := strings.TrimLeft(x[:i], "0"), strings.TrimLeft(y[:j], "0")
		if len(m) != len(n) {
			return len(m) - len(n)
		}
		if c := strings.Compare(m, n); c != 0 {
			return c
		}
		x, y = x[i:], y[j:]
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
