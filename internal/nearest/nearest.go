// Package nearest finds what a mistyped name was meant to be.
package nearest

import (
	"fmt"
	"slices"
	"strings"
)

// Among says, behind an unknown name in a message, what it may be meant to be, and which names are known:
// ", did you mean cnn? Known: cnn, mlp", or "; known: cnn, mlp" where none is near.
func Among(name string, known []string) string {
	list := strings.Join(known, ", ")
	if near := Name(name, known); near != "" {
		return fmt.Sprintf(", did you mean %s? Known: %s", near, list)
	}
	return "; known: " + list
}

// AmongTerms is [Among] for terms with values: only what comes before the first colon is compared.
func AmongTerms(term string, known []string) string {
	name, _, _ := strings.Cut(term, ":")
	names := make([]string, len(known))
	for i, k := range known {
		names[i], _, _ = strings.Cut(k, ":")
	}
	near, list := Name(name, names), strings.Join(known, ", ")
	if near == "" {
		return "; known: " + list
	}
	return fmt.Sprintf(", did you mean %s? Known: %s", known[slices.Index(names, near)], list)
}

// Name returns the known name with the fewest characters to insert, delete, replace or swap, the first of equal ones; nothing
// if more than half of the name would change.
func Name(name string, known []string) string {
	best, least := "", len(name)/2+1
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete or replace, and the neighbors to swap, that make b of a: the optimal string alignment
// distance (Damerau 1964; Levenshtein 1966).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			rows[i][j] = min(replaced, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
