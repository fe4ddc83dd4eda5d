//go:build !linux

package export

import "os"

// syncFile makes a file durable.
func syncFile(f *os.File) error { return f.Sync() }

// syncTree makes the folders durable, whose files are.
func syncTree(root *os.Root, folders map[string]bool) error {
	for name := range folders {
		d, err := root.Open(name)
		if err != nil {
			return err
		}
		_ = d.Sync() // some systems cannot sync a folder
		if err := d.Close(); err != nil {
			return err
		}
	}
	return nil
}
