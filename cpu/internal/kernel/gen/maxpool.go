package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pools: max- and min-pooling over windows of 2 by 2 pixels that follow each other along a row, with its gradient and its
// derivative in forward mode.
func (v *vectors) pools() {
	for _, f := range []struct {
		name  string
		write func(p *pool2)
	}{
		{"pool2", (*pool2).forward},
		{"pool2Grad", (*pool2).gradient},
		{"pool2Pick", (*pool2).pick},
	} {

		for _, extreme := range []string{"Max", "Min"} {

			f.write(&pool2{vectors: v, name: f.name + extreme, isMin: extreme == "Min"})
		}
	}
}

type pool2 struct {
	*vectors
	name        string
	isMin       bool
	top, bottom reg.GPVirtual // pixels of the windows
	pitch       reg.GPVirtual // bytes of a pixel
	nan         condition     // lanes in which a NaN was met
}

// raw is the extreme of two vectors without NaN.
func (p *pool2) raw(a, b reg.VecVirtual) reg.VecVirtual {
	if p.isMin {
		return p.rawMin(a, b)
	}
	return p.rawMax(a, b)
}

// eachWindow loops over windows and vectors of channels: body is one. wide are what moves on by two pixels a window,
// beside top and bottom, narrow by one.
func (p *pool2) eachWindow(wide, narrow []reg.GPVirtual, body func(i reg.GPVirtual, tail bool)) {
	n, windows := p.param("n"), p.param("windows")
	p.tailOf(n)
	p.pitch = p.GP64()
	p.MOVQ(n, p.pitch)
	p.SHLQ(U8(2), p.pitch)
	p.TESTQ(windows, windows)
	p.JLE(LabelRef("end"))
	p.Label("window")
	p.strip("strip", n, body)
	for _, x := range append([]reg.GPVirtual{p.top, p.bottom}, wide...) {
		p.LEAQ(Mem{Base: x, Index: p.pitch, Scale: 2}, x)
	}
	for _, x := range narrow {
		p.ADDQ(p.pitch, x)
	}
	p.DECQ(windows)
	p.JNZ(LabelRef("window"))
	p.Label("end")
}

// pixels are those of a window in a pair of rows: left and right of the upper, then of the lower one.
func (p *pool2) pixels(top, bottom, i reg.GPVirtual, use func(k int, at Mem)) {
	for k, base := range []reg.GPVirtual{top, bottom} {
		right := p.GP64()
		p.LEAQ(Mem{Base: base, Index: p.pitch, Scale: 1}, right)
		use(2*k, Mem{Base: base, Index: i, Scale: 4})
		use(2*k+1, Mem{Base: right, Index: i, Scale: 4})
	}
}

func (p *pool2) loads(top, bottom, i reg.GPVirtual, tail bool) (x [4]reg.VecVirtual) {
	p.pixels(top, bottom, i, func(k int, at Mem) { x[k] = p.load(at, tail) })
	return x
}

// hits compares the first three pixels with the extreme of all and notes NaN.
func (p *pool2) hits(x [4]reg.VecVirtual) (c [3]condition) {
	best := p.raw(p.raw(x[0], x[1]), p.raw(x[2], x[3]))
	for k := range c {
		c[k] = p.compare(cmpEQ, x[k], best)
	}
	for k := range 2 {
		un := p.compare(cmpUN, x[2*k], x[2*k+1])
		if p.wide {
			p.KORW(un.k, p.nan.k, p.nan.k)
		} else {
			p.VORPS(un.y, p.nan.y, p.nan.y)
		}
	}
	return c
}

func (p *pool2) beginHits() {
	if p.wide {
		p.nan.k = p.K()
		p.KXORW(p.nan.k, p.nan.k, p.nan.k)
		return
	}
	p.nan.y = p.YMM()
	p.VXORPS(p.nan.y, p.nan.y, p.nan.y)
}

// endHits returns the lanes in which a NaN was met.
func (p *pool2) endHits() {
	lanes := p.GP64()
	if p.wide {
		p.KMOVW(p.nan.k, lanes.As32())
	} else {
		p.VMOVMSKPS(p.nan.y, lanes.As32())
	}
	p.Store(lanes, p.ReturnIndex(0))
	p.end()
}

// forward: dst is the extreme of each window, NaN where there is one.
func (p *pool2) forward() {
	p.function(p.name, "func(dst, top, bottom *float32, n, windows int)")
	dst := p.param("dst")
	p.top, p.bottom = p.param("top"), p.param("bottom")
	p.eachWindow(nil, []reg.GPVirtual{dst}, func(i reg.GPVirtual, tail bool) {
		x := p.loads(p.top, p.bottom, i, tail)
		extreme := p.max
		if p.isMin {
			extreme = p.min
		}
		p.store(extreme(extreme(x[0], x[1]), extreme(x[2], x[3])), Mem{Base: dst, Index: i, Scale: 4}, tail)
	})
	p.end()
}

// gradient: the first pixel of a window that is its extreme takes the gradient, the others zero.
func (p *pool2) gradient() {
	p.function(p.name, "func(dTop, dBottom, top, bottom, grad *float32, n, windows int) (nan int)")
	dTop, dBottom := p.param("dTop"), p.param("dBottom")
	p.top, p.bottom = p.param("top"), p.param("bottom")
	grad := p.param("grad")
	p.beginHits()
	zero := p.vec()
	p.VXORPS(zero, zero, zero)
	p.eachWindow([]reg.GPVirtual{dTop, dBottom}, []reg.GPVirtual{grad}, func(i reg.GPVirtual, tail bool) {
		hit := p.hits(p.loads(p.top, p.bottom, i, tail))
		left := p.load(Mem{Base: grad, Index: i, Scale: 4}, tail)
		p.pixels(dTop, dBottom, i, func(k int, at Mem) {
			if k == 3 {
				p.store(left, at, tail)
				return
			}
			p.store(p.choose(hit[k], left, zero), at, tail)
			left = p.choose(hit[k], zero, left)
		})
	})
	p.endHits()
}

// pick: dst is the element of the second pair of rows that lies where the first has its extreme.
func (p *pool2) pick() {
	p.function(p.name, "func(dst, top, bottom, pickTop, pickBottom *float32, n, windows int) (nan int)")
	dst := p.param("dst")
	p.top, p.bottom = p.param("top"), p.param("bottom")
	pickTop, pickBottom := p.param("pickTop"), p.param("pickBottom")
	p.beginHits()
	p.eachWindow([]reg.GPVirtual{pickTop, pickBottom}, []reg.GPVirtual{dst}, func(i reg.GPVirtual, tail bool) {
		hit := p.hits(p.loads(p.top, p.bottom, i, tail))
		t := p.loads(pickTop, pickBottom, i, tail)
		value := t[3]
		for k := 2; k >= 0; k-- {
			value = p.choose(hit[k], t[k], value)
		}
		p.store(value, Mem{Base: dst, Index: i, Scale: 4}, tail)
	})
	p.endHits()
}
