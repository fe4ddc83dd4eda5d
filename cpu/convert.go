package cpu

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// converters convert all elements of src, whose type is the key, to the type given.
var converters = map[dtypes.DType]func(to dtypes.DType) func(dst, src []byte){
	dtypes.Float32: convertFrom[float32],
	dtypes.Float64: convertFrom[float64],
	dtypes.Int8:    convertFrom[int8],
	dtypes.Int16:   convertFrom[int16],
	dtypes.Int32:   convertFrom[int32],
	dtypes.Int64:   convertFrom[int64],
	dtypes.Uint8:   convertFrom[uint8],
	dtypes.Uint16:  convertFrom[uint16],
	dtypes.Uint32:  convertFrom[uint32],
	dtypes.Uint64:  convertFrom[uint64],
	dtypes.Bool:    convertFrom[uint8], // holds 0 or 1
}

func convertFrom[S number](to dtypes.DType) func(dst, src []byte) {
	switch to {
	case dtypes.Float32:
		return convert[S, float32]
	case dtypes.Float64:
		return convert[S, float64]
	case dtypes.Int8:
		return convert[S, int8]
	case dtypes.Int16:
		return convert[S, int16]
	case dtypes.Int32:
		return convert[S, int32]
	case dtypes.Int64:
		return convert[S, int64]
	case dtypes.Uint8:
		return convert[S, uint8]
	case dtypes.Uint16:
		return convert[S, uint16]
	case dtypes.Uint32:
		return convert[S, uint32]
	case dtypes.Uint64:
		return convert[S, uint64]
	case dtypes.Bool:
		return func(dst, src []byte) {
			for i, x := range typed[S](src) {
				dst[i] = 0
				if x != 0 {
					dst[i] = 1
				}
			}
		}
	}
	return nil
}

func convert[S, D number](dst, src []byte) {
	d := typed[D](dst)
	for i, x := range typed[S](src) {
		d[i] = D(x)
	}
}

// lowerConvert adds the step of a ConvertDType between numbers and booleans.
func (p *planner) lowerConvert(op *operation) bool {
	in, v := op.in[0], op.out[0]
	from, ok := converters[in.shape.DType]
	if !ok {
		return false
	}
	f := from(v.shape.DType)
	if f == nil {
		return false
	}
	x := p.dense(in).ref()
	y := p.result(v).ref()
	const chunk = 32 << 10 // elements
	n, sx, sy := v.shape.Size(), in.shape.DType.Size(), v.shape.DType.Size()
	p.add(step{
		name: op.kind.String(), reads: []int{x.slot}, writes: []int{y.slot}, parts: (n + chunk - 1) / chunk,
		part: func(r *run, i, _ int) {
			lo, hi := i*chunk, min((i+1)*chunk, n)
			f(r.bytes(y)[lo*sy:hi*sy], r.bytes(x)[lo*sx:hi*sx])
		},
	})
	return true
}

// foldLimit is the largest constant that folding makes, in bytes.
const foldLimit = 1 << 20

// fold computes operations on constants while compiling, and makes constants of them. Views of constants stay views:
// a broadcast number takes no room.
func fold(b *Backend, ops []*operation) {
	for _, op := range ops {
		if isGiven(op) || len(op.out) != 1 || op.emit == nil || byteSize(op.out[0].shape) > foldLimit {
			continue
		}
		known := true
		for _, v := range op.in {
			known = known && v.op.kind == compute.OpTypeConstant
		}
		if !known {
			continue
		}
		d, err := newDelegate(b, op)
		if err != nil {
			continue // the error comes up again, with its context, when the operation is lowered
		}
		r := &run{}
		for _, v := range op.in {
			d.in = append(d.in, ref{slot: len(r.mem), size: len(v.op.data)})
			r.mem = append(r.mem, v.op.data)
		}
		n := byteSize(op.out[0].shape)
		d.out = []ref{{slot: len(r.mem), size: n}}
		r.mem = append(r.mem, alignedBytes(n))
		if d.run(r) != nil {
			continue
		}
		op.kind, op.in, op.attrs, op.data = compute.OpTypeConstant, nil, nil, r.mem[len(r.mem)-1]
	}
}
