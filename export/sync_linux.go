package export

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFile does nothing: syncTree syncs all files at once, which takes seconds where one call a file takes minutes.
func syncFile(*os.File) error { return nil }

// syncTree makes everything that was written on the disk of the root durable.
func syncTree(root *os.Root, _ map[string]bool) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
