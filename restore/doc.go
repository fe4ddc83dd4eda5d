// Package restore measures restored images, by PSNR and SSIM, and restores images of any size with a network that maps images to
// images, tile by tile within a bound of memory.
//
// Images are [Image]: values in 0..1 for black to white, not clamped, in float32.
package restore
