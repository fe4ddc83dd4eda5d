// Package docs holds the pages that the command's help prints.
package docs

import _ "embed"

// Method is method.md: the method with its equations.
//
//go:embed method.md
var Method string

// Files is files.md: the run directory and the other files that the program reads and writes.
//
//go:embed files.md
var Files string
