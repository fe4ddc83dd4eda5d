package cpu

import (
	"math"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// Operations on float32 that package kernel has vector code for.
var (
	vectorUnary = map[compute.OpType]kernel.UnaryOp{
		compute.OpTypeNeg:      kernel.Neg,
		compute.OpTypeAbs:      kernel.Abs,
		compute.OpTypeSqrt:     kernel.Sqrt,
		compute.OpTypeRsqrt:    kernel.Rsqrt,
		compute.OpTypeExp:      kernel.Exp,
		compute.OpTypeLog:      kernel.Log,
		compute.OpTypeTanh:     kernel.Tanh,
		compute.OpTypeLogistic: kernel.Logistic,
		compute.OpTypeErf:      kernel.Erf,
		opReLU:                 kernel.ReLU,
	}
	vectorBinary = map[compute.OpType]kernel.BinaryOp{
		compute.OpTypeAdd: kernel.Add,
		compute.OpTypeSub: kernel.Sub,
		compute.OpTypeMul: kernel.Mul,
		compute.OpTypeDiv: kernel.Div,
		compute.OpTypeMax: kernel.Max,
		compute.OpTypeMin: kernel.Min,
		opReLUGrad:        kernel.ReLUGrad,
	}
	vectorCompare = map[compute.OpType]kernel.CompareOp{
		compute.OpTypeEqual:          kernel.Equal,
		compute.OpTypeNotEqual:       kernel.NotEqual,
		compute.OpTypeLessThan:       kernel.Less,
		compute.OpTypeLessOrEqual:    kernel.LessEqual,
		compute.OpTypeGreaterThan:    kernel.Greater,
		compute.OpTypeGreaterOrEqual: kernel.GreaterEqual,
	}
	// mirrored holds the comparisons with their operands exchanged.
	mirrored = map[kernel.CompareOp]kernel.CompareOp{
		kernel.Equal: kernel.Equal, kernel.NotEqual: kernel.NotEqual,
		kernel.Less: kernel.Greater, kernel.Greater: kernel.Less,
		kernel.LessEqual: kernel.GreaterEqual, kernel.GreaterEqual: kernel.LessEqual,
	}
)

// Operations on float32 in plain Go: dst may be an argument.
var (
	plainUnary = map[compute.OpType]func(dst, x []float32){
		compute.OpTypeExpm1: viaFloat64(math.Expm1),
		compute.OpTypeLog1p: viaFloat64(math.Log1p),
		compute.OpTypeSin:   viaFloat64(math.Sin),
		compute.OpTypeCos:   viaFloat64(math.Cos),
		compute.OpTypeFloor: viaFloat64(math.Floor),
		compute.OpTypeCeil:  viaFloat64(math.Ceil),
		compute.OpTypeRound: viaFloat64(math.RoundToEven),
		compute.OpTypeSign: func(dst, x []float32) {
			for i, v := range x[:len(dst)] {
				switch {
				case v > 0:
					v = 1
				case v < 0:
					v = -1
				}
				dst[i] = v
			}
		},
	}
	plainBinary = map[compute.OpType]func(dst, a, b []float32){
		compute.OpTypePow: func(dst, a, b []float32) {
			for i := range dst {
				dst[i] = float32(math.Pow(float64(a[i]), float64(b[i])))
			}
		},
		compute.OpTypeRem: func(dst, a, b []float32) {
			for i := range dst {
				dst[i] = float32(math.Mod(float64(a[i]), float64(b[i])))
			}
		},
	}
	plainPredicate = map[compute.OpType]func(dst []bool, x []float32){
		compute.OpTypeIsNaN: func(dst []bool, x []float32) {
			for i := range dst {
				dst[i] = x[i] != x[i]
			}
		},
		compute.OpTypeIsFinite: func(dst []bool, x []float32) {
			for i := range dst {
				dst[i] = x[i]-x[i] == 0
			}
		},
	}
	logic = map[compute.OpType]func(dst, a, b []bool){
		compute.OpTypeLogicalAnd: func(dst, a, b []bool) {
			for i := range dst {
				dst[i] = a[i] && b[i]
			}
		},
		compute.OpTypeLogicalOr: func(dst, a, b []bool) {
			for i := range dst {
				dst[i] = a[i] || b[i]
			}
		},
		compute.OpTypeLogicalXor: func(dst, a, b []bool) {
			for i := range dst {
				dst[i] = a[i] != b[i]
			}
		},
		compute.OpTypeEqual: func(dst, a, b []bool) {
			for i := range dst {
				dst[i] = a[i] == b[i]
			}
		},
		compute.OpTypeNotEqual: func(dst, a, b []bool) {
			for i := range dst {
				dst[i] = a[i] != b[i]
			}
		},
	}
)

func viaFloat64(f func(x float64) float64) func(dst, x []float32) {
	return func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = float32(f(float64(v)))
		}
	}
}

func invert(dst, x []bool) {
	for i, v := range x[:len(dst)] {
		dst[i] = !v
	}
}
