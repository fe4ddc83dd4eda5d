// Package durable keeps files that outlast a kill, a full disk and a flipped byte: a file is written whole or not at all, says by
// a checksum whether it is still what was written, and a directory is written by one process at a time. It knows nothing of
// what the files hold.
package durable
