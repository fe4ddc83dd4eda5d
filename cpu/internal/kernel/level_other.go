//go:build !amd64

package kernel

func detected() Level { return Portable }

func tilesAt(Level) *tileSet { return nil }
