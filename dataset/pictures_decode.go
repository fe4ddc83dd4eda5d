package dataset

import (
	"context"
	"crypto/sha256"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// decoded holds the pixels of a collection: those of training, in the order of the records, and then those of the test set.
type decoded struct {
	places  []int // of each record
	bytes   int   // of an image
	pix     []uint8
	disk    *pixelFile
	digests [][sha256.Size]byte // of each record's pixels, where there is a test set
}

// decode decodes all pictures, into memory or onto disk.
func (c *collection) decode(ctx context.Context, o PictureOptions, size imageSize, channels int) (*decoded, error) {
	d := &decoded{places: make([]int, len(c.pictures)), bytes: size.height * size.width * channels}
	n := 0
	for _, test := range []bool{false, true} {
		before := n
		for i, p := range c.pictures {
			if p.test == test {
				d.places[i], n = n, n+1
			}
		}
		if test && n > before {
			d.digests = make([][sha256.Size]byte, len(c.pictures))
		}
	}
	if int64(n)*int64(d.bytes) > o.Memory {
		var err error
		if d.disk, err = newPixelFile(o.Scratch, d.bytes); err != nil {
			return nil, err
		}
	} else {
		d.pix = make([]uint8, n*d.bytes)
	}
	var failed atomic.Pointer[error] // of the disk, which concerns all
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := c.album.each(ctx, c.pictures, func(i int, content io.Reader) error {
		var pix []uint8
		if d.disk == nil {
			pix = d.pix[d.places[i]*d.bytes:][:d.bytes]
		} else {
			loan := d.disk.loans.Get().(*[]uint8)
			defer d.disk.loans.Put(loan)
			pix = *loan
		}
		if err := decodePicture(content, size, channels == 1, pix); err != nil {
			return err
		}
		if d.digests != nil {
			d.digests[i] = sha256.Sum256(pix)
		}
		if d.disk != nil {
			if err := d.disk.write(pix, d.places[i]); err != nil {
				failed.CompareAndSwap(nil, &err)
				cancel()
			}
		}
		return nil
	})
	if e := failed.Load(); e != nil {
		err = *e
	} else if err == nil {
		err = ctx.Err()
	}
	if err != nil && d.disk != nil {
		_ = d.disk.close()
	}
	return d, err
}

// assemble makes the training and the test set of what could be decoded.
func (d *decoded) assemble(c *collection, size imageSize, channels int) *Pictures {
	f := &Pictures{}
	at := 0
	for _, test := range []bool{false, true} {
		s := &Images{Name: c.name, Height: size.height, Width: size.width, Channels: channels, Classes: c.classes, disk: d.disk}
		from := at
		for i, p := range c.pictures {
			if p.test != test || p.err != nil {
				continue
			}
			if place := d.places[i]; d.disk != nil {
				s.at = append(s.at, place)
			} else if place > at { // what can't be read has left gaps
				copy(d.pix[at*d.bytes:][:d.bytes], d.pix[place*d.bytes:])
			}
			at++
			s.Labels = append(s.Labels, p.class)
			s.IDs = append(s.IDs, p.id)
		}
		if d.disk == nil {
			s.Pix = d.pix[from*d.bytes : at*d.bytes]
		}
		if test {
			f.Test = s
		} else {
			f.Train = s
		}
	}
	return f
}

// inParallel calls work with 0 to n-1, on as many goroutines as there are processors, until ctx is cancelled.
func inParallel(ctx context.Context, n int, work func(i int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				work(i)
			}
		})
	}
	wait.Wait()
}
