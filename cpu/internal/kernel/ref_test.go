package kernel

// refConv is the twin of ConvForward: the definition, in float64.
func refConv(c *Conv, in, kernel, out []float32) {
	d := c.normal()
	for n := range d.Batch {
		for oy := range d.OutHeight {
			for ox := range d.OutWidth {
				for co := range d.OutChannels {
					sum := 0.0
					d.eachTap(oy, ox, func(ky, kx, iy, ix int) {
						for ci := range d.InChannels {
							sum += float64(in[((n*d.InHeight+iy)*d.InWidth+ix)*d.InPitch+ci]) *
								float64(kernel[d.Kernel.Offset+ky*d.Kernel.Y+kx*d.Kernel.X+ci*d.Kernel.In+co*d.Kernel.Out])
						}
					})
					out[((n*d.OutHeight+oy)*d.OutWidth+ox)*d.OutPitch+co] = float32(sum)
				}
			}
		}
	}
}

// refWeightGrad is the twin of ConvWeightGrad.
func refWeightGrad(c *Conv, in, dout, dkernel []float32) {
	d := c.normal()
	sum := make([]float64, len(dkernel))
	written := make([]bool, len(dkernel))
	for ky := range d.KernelHeight {
		for kx := range d.KernelWidth {
			for ci := range d.InChannels {
				for co := range d.OutChannels {
					written[d.Kernel.Offset+ky*d.Kernel.Y+kx*d.Kernel.X+ci*d.Kernel.In+co*d.Kernel.Out] = true
				}
			}
		}
	}
	for n := range d.Batch {
		for oy := range d.OutHeight {
			for ox := range d.OutWidth {
				d.eachTap(oy, ox, func(ky, kx, iy, ix int) {
					for ci := range d.InChannels {
						x := float64(in[((n*d.InHeight+iy)*d.InWidth+ix)*d.InPitch+ci])
						for co := range d.OutChannels {
							sum[d.Kernel.Offset+ky*d.Kernel.Y+kx*d.Kernel.X+ci*d.Kernel.In+co*d.Kernel.Out] +=
								x * float64(dout[((n*d.OutHeight+oy)*d.OutWidth+ox)*d.OutPitch+co])
						}
					}
				})
			}
		}
	}
	for i, w := range written {
		if w {
			dkernel[i] = float32(sum[i])
		}
	}
}

// eachTap calls f for the taps of an output position that meet a true input.
func (c *Conv) eachTap(oy, ox int, f func(ky, kx, iy, ix int)) {
	for ky := range c.KernelHeight {
		y := oy*c.StrideY + ky*c.DilationY - c.PadTop
		if y < 0 || y%c.InDilationY != 0 || y/c.InDilationY >= c.InHeight {
			continue
		}
		for kx := range c.KernelWidth {
			x := ox*c.StrideX + kx*c.DilationX - c.PadLeft
			if x < 0 || x%c.InDilationX != 0 || x/c.InDilationX >= c.InWidth {
				continue
			}
			f(ky, kx, y/c.InDilationY, x/c.InDilationX)
		}
	}
}

// refGemm is the twin of Gemm.Run.
func refGemm(g *Gemm, a, b, c []float32) {
	for i := range max(1, g.Batch) {
		for m := range g.M {
			for n := range g.N {
				at := i*g.CBatch + m*g.CRow + n
				sum := 0.0
				if g.Add {
					sum = float64(c[at])
				}
				for k := range g.K {
					sum += float64(a[i*g.ABatch+m*g.ARow+k*g.ACol]) * float64(b[i*g.BBatch+k*g.BRow+n*g.BCol])
				}
				c[at] = float32(sum)
			}
		}
	}
}
