//go:build !amd64

package kernel

func asmBinary(BinaryOp, form, *float32, *float32, *float32, *Grid) bool { return false }

func asmMulAdd(form, *float32, *float32, *float32, *float32, *Grid) bool { return false }

func asmCompare(CompareOp, form, *bool, *float32, *float32, *Grid) bool { return false }

func asmSelect(form, *float32, *bool, *float32, *float32, int) bool { return false }

func asmUnary(UnaryOp, *float32, *float32, int) bool { return false }

func asmSum(_, _ *float32, _ int) bool { return false }

func asmDot(_, _, _ *float32, _ int) bool { return false }

func asmLargest(_, _ *float32, _ int) bool { return false }

func vectorFloats() int { return 0 }

func asmColumnSums(int, *float32, *float32, int, int, int, bool) {}

func asmColumnDots(int, *float32, *float32, *float32, int, int, int, int, bool) {}

func asmTranspose(_, _ *float32, _, _, _ int) bool { return false }

func asmWinogradInput(_, _, _ *float32, _, _, _, _, _, _ int, _, _ uint) bool { return false }

func asmWinogradKernel(_, _ *float32, _, _, _, _ int) bool { return false }

func asmWinogradOutput(_, _ *float32, _, _, _, _, _ int) bool { return false }

func asmWinogradSpread(_, _ *float32, _, _, _, _, _ int) bool { return false }

func asmWinogradTaps(_, _ *float32, _, _, _, _ int) bool { return false }

func asmPrefetch(*byte, int) {}

func asmPool2(_ BinaryOp, _, _, _ *float32, _, _ int) bool { return false }

func asmPool2Grad(_ BinaryOp, _, _, _, _, _ *float32, _, _ int) (ok, done bool) { return false, false }

func asmPool2Pick(_ BinaryOp, _, _, _, _, _ *float32, _, _ int) (ok, done bool) { return false, false }
