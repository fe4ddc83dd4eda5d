// Package export writes the formats of other programs: tables as Parquet, numbers as NumPy files, weights as safetensors in PyTorch's
// layout, curves, pictures and histograms as TensorBoard event files, and images as folders with a folder for each class. It knows
// no run and no command: what it writes is handed to it.
package export
