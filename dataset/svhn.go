package dataset

import (
	"path/filepath"
	"slices"
)

const (
	svhnSide   = 32
	svhnPlane  = svhnSide * svhnSide
	svhnPixels = 3 * svhnPlane
)

// readSVHN reads the cropped digits of SVHN (Netzer, Wang, Coates, Bissacco, Wu and Ng, "Reading digits in natural images with
// unsupervised feature learning", 2011). Of its files the further training images in extra_32x32.mat are not read.
func readSVHN(name, dir string, _ map[string]bool) (train, test *Images, err error) {
	if train, err = readSVHNPart(name, dir, "train"); err != nil {
		return nil, nil, err
	}
	if test, err = readSVHNPart(name, dir, "test"); err != nil {
		return nil, nil, err
	}
	return train, test, nil
}

// readSVHNPart reads a file of images X, an array [32, 32, 3, images] of bytes with the row fastest, and labels y, in which the
// digit 0 is 10.
func readSVHNPart(name, dir, part string) (*Images, error) {
	path := filepath.Join(dir, part+"_32x32.mat")
	arrays, err := readMAT(path, "X", "y")
	if err != nil {
		return nil, err
	}
	x, y := arrays["X"], arrays["y"]
	dims := x.dims
	if len(dims) == 3 {
		dims = append(slices.Clone(dims), 1) // MATLAB drops a last dimension of 1
	}
	if len(dims) != 4 || !slices.Equal(dims[:3], []int{svhnSide, svhnSide, 3}) || x.class != matClassUint8 || x.kind != matUint8 {
		return nil, inputErrorf(path, "X is no array of bytes of the dimensions 32, 32, 3 and the number of images, but of %v", x.dims)
	}
	n := dims[3]
	switch {
	case n == 0:
		return nil, inputErrorf(path, "holds no image")
	case y.len() != n:
		return nil, inputErrorf(path, "%d labels, but %d images", y.len(), n)
	}
	s := &Images{
		Name: name, Height: svhnSide, Width: svhnSide, Channels: 3, Classes: letters("0123456789"),
		Pix: x.values, Labels: make([]int, n), IDs: sequentialIDs(part, n),
	}
	var planes [svhnPixels]uint8
	for i := range n {
		label := y.at(i)
		if !(label >= 0 && label <= 10) || label != float64(int(label)) {
			return nil, inputErrorf(path, "label %v in record %d of %d is out of range: the labels of %s are 1 to 10", label, i, n, name)
		}
		s.Labels[i] = int(label) % 10
		pix := s.Pixels(i)
		copy(planes[:], pix)
		upright(pix, &planes)
	}
	return s, nil
}

// upright turns three planes that are stored column by column into pixels, row by row.
func upright(pix []uint8, planes *[svhnPixels]uint8) {
	for column := range svhnSide {
		for row := range svhnSide {
			k := column*svhnSide + row
			p := pix[3*(row*svhnSide+column):][:3]
			p[0], p[1], p[2] = planes[k], planes[svhnPlane+k], planes[2*svhnPlane+k]
		}
	}
}
