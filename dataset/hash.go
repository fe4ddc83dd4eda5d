package dataset

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Hash returns the content hash: SHA-256, in hex, over the dimensions, the number of classes, the pixels, the current
// labels and the ids. Names, normalization and original labels don't enter, so a set with planted noise hashes like any
// other set with those labels.
//
// The hashed bytes are the line "datadropout images 1", the numbers images, height, width, channels and classes, the
// pixels, the labels, and each id as its length and its bytes. Numbers are unsigned, 64-bit, little endian.
func (s *Images) Hash() string {
	digest := sha256.New()
	w := bufio.NewWriterSize(digest, 1<<16)
	var word [8]byte
	number := func(v int) {
		binary.LittleEndian.PutUint64(word[:], uint64(v))
		w.Write(word[:])
	}
	w.WriteString("datadropout images 1\n")
	for _, v := range []int{s.Len(), s.Height, s.Width, s.Channels, len(s.Classes)} {
		number(v)
	}
	if w.Write(s.Pix); s.disk != nil {
		for i := range s.Len() {
			pix, loan := s.lend(i)
			w.Write(pix)
			s.takeBack(loan)
		}
	}
	for _, label := range s.Labels {
		number(label)
	}
	for _, id := range s.IDs {
		number(len(id))
		w.WriteString(id)
	}
	w.Flush() // a digest takes every write
	return hex.EncodeToString(digest.Sum(nil))
}
