package cpu

import "golang.org/x/sys/unix"

// adviseHuge asks for huge pages: large tensors are read from end to end, and small pages cost the processor a look-up
// every 4 KiB. It is a hint: where the system refuses, nothing changes.
func adviseHuge(mem []byte) { _ = unix.Madvise(mem, unix.MADV_HUGEPAGE) }
