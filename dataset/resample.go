package dataset

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"

	"golang.org/x/image/draw"
)

// Scaled returns the picture in another size, by cubic convolution (Keys 1981, a = -1/2) over as many pixels as one of the result
// covers: what MATLAB calls bicubic with antialiasing. Values are rounded to the picture's depth.
func (p *Picture) Scaled(height, width int) *Picture {
	if height == p.Height && width == p.Width {
		return p
	}
	q := &Picture{ID: p.ID, Height: height, Width: width, Channels: p.Channels, Depth: p.Depth}
	bounds := image.Rect(0, 0, width, height)
	var to draw.Image = image.NewRGBA(bounds)
	if p.Depth == 16 {
		to = image.NewRGBA64(bounds)
	}
	from := p.Image()
	draw.CatmullRom.Scale(to, bounds, from, from.Bounds(), draw.Src, nil)
	q.read(to)
	return q
}

// read fills the pixels from an opaque image.
func (p *Picture) read(m image.Image) {
	p.Pix = make([]uint16, 0, p.Height*p.Width*p.Channels)
	if flat, ok := m.(*image.RGBA); ok { // at once, for this is most of the work of making patches ready
		for k := 0; k < len(flat.Pix); k += 4 {
			for _, v := range flat.Pix[k : k+p.Channels] {
				p.Pix = append(p.Pix, uint16(v)*257)
			}
		}
		return
	}
	b := m.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := m.(image.RGBA64Image).RGBA64At(x, y)
			p.Pix = append(p.Pix, c.R)
			if p.Channels == 3 {
				p.Pix = append(p.Pix, c.G, c.B)
			}
		}
	}
}

// Image returns the picture as an image of its channels and depth: gray, or RGBA without transparency.
func (p *Picture) Image() image.Image {
	b := image.Rect(0, 0, p.Width, p.Height)
	switch {
	case p.Depth == 8 && p.Channels == 1:
		m := image.NewGray(b)
		for k, v := range p.Pix {
			m.Pix[k] = uint8(v >> 8)
		}
		return m
	case p.Depth == 8:
		m := image.NewRGBA(b)
		for k := range p.Height * p.Width {
			c := p.Pix[3*k : 3*k+3]
			copy(m.Pix[4*k:], []uint8{uint8(c[0] >> 8), uint8(c[1] >> 8), uint8(c[2] >> 8), 255})
		}
		return m
	case p.Channels == 1:
		m := image.NewGray16(b)
		for k, v := range p.Pix {
			m.SetGray16(k%p.Width, k/p.Width, color.Gray16{Y: v})
		}
		return m
	}
	m := image.NewRGBA64(b)
	for k := range p.Height * p.Width {
		c := p.Pix[3*k : 3*k+3]
		m.SetRGBA64(k%p.Width, k/p.Width, color.RGBA64{R: c[0], G: c[1], B: c[2], A: 65535})
	}
	return m
}

// compressed returns the picture as a JPEG file of the quality, 1 to 100, holds it: with 8 bits, and color at half the resolution.
func (p *Picture) compressed(quality int) *Picture {
	eight := *p
	eight.Depth = 8
	var file bytes.Buffer
	err := jpeg.Encode(&file, eight.Image(), &jpeg.Options{Quality: quality})
	var m image.Image
	if err == nil {
		m, err = jpeg.Decode(&file)
	}
	if err != nil { // its own file, of an image within the sizes that pictures are read with
		panic(fmt.Sprintf("dataset: JPEG of %s: %v", p.ID, err))
	}
	q := &Picture{ID: p.ID, Height: p.Height, Width: p.Width, Channels: p.Channels, Depth: 8}
	if g, ok := m.(*image.Gray); ok {
		for y := range p.Height {
			for _, v := range g.Pix[y*g.Stride : y*g.Stride+p.Width] {
				q.Pix = append(q.Pix, uint16(v)*257)
			}
		}
		return q
	}
	opaque := image.NewRGBA(m.Bounds())
	draw.Draw(opaque, m.Bounds(), m, image.Point{}, draw.Src)
	q.read(opaque)
	return q
}

// downUp returns the picture made smaller by a factor, and as large again.
func (p *Picture) downUp(factor float64) *Picture {
	small := func(n int) int { return max(1, int(float64(n)/factor+0.5)) }
	return p.Scaled(small(p.Height), small(p.Width)).Scaled(p.Height, p.Width)
}
