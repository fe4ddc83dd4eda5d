package dataset

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/datadropout/datadropout/internal/nearest"
)

// Augmentation says how training images are varied from epoch to epoch. The zero value varies nothing. What is asked for is
// done in this order: crop, flip, brightness, contrast, saturation, normalization, cutout.
//
// Its text form, in flags and YAML, lists what is on: "crop:4,flip,cutout:8"; see [ParseAugmentation].
type Augmentation struct {
	// Crop pads the image by that many pixels on every side and cuts a window of the image's own size out of it, at a place
	// drawn uniformly: the augmentation of He et al. 2016 with 4. Padding is black, the pixel value 0, before normalization.
	Crop int
	// Reflect pads by reflection about the border pixels in place of black. It needs Crop.
	Reflect bool
	// ResizedCrop, in (0, 1], is the least share of the image's area that a window covers which is cut out and enlarged to the
	// image's size, bilinearly (Szegedy et al. 2015). The share is uniform in [ResizedCrop, 1], the logarithm of width over height
	// uniform between those of 3/4 and 4/3. 0 means none; with Crop it is an error.
	ResizedCrop float64
	// Flip mirrors the image left to right with probability 1/2.
	Flip bool
	// Brightness, Contrast and Saturation in [0, 1] multiply by a factor that is uniform in [1-v, 1+v]: the pixel values, their
	// distances from the mean gray value of the image, and those from the gray value of the pixel. Results are clamped to
	// the range of a pixel. Gray is 0.299 R + 0.587 G + 0.114 B. Saturation needs three channels.
	Brightness, Contrast, Saturation float64
	// Cutout sets a square of that side to the mean of the channel, 0 after normalization. Its center is uniform over the image,
	// and what lies outside is cut off (DeVries and Taylor 2017).
	Cutout int
}

// IsZero says whether nothing is varied.
func (a Augmentation) IsZero() bool { return a == Augmentation{} }

// mostPixels bounds Crop and Cutout: beyond any image.
const mostPixels = 1 << 16

// Validate reports the first value that is out of range.
func (a Augmentation) Validate() error {
	fraction := func(v float64) bool { return v >= 0 && v <= 1 } // NaN is neither
	switch {
	case a.Crop < 0 || a.Crop > mostPixels:
		return fmt.Errorf("the padding of crop must lie in 0..%d pixels, got %d", mostPixels, a.Crop)
	case a.Reflect && a.Crop == 0:
		return fmt.Errorf("reflect is how crop pads, and there is no crop")
	case !fraction(a.ResizedCrop):
		return fmt.Errorf("the least area of resized-crop must lie in (0, 1], got %v", a.ResizedCrop)
	case a.ResizedCrop > 0 && a.Crop > 0:
		return fmt.Errorf("crop and resized-crop exclude each other")
	case a.Cutout < 0 || a.Cutout > mostPixels:
		return fmt.Errorf("the side of cutout must lie in 0..%d pixels, got %d", mostPixels, a.Cutout)
	}
	for _, jitter := range []struct {
		name  string
		value float64
	}{{"brightness", a.Brightness}, {"contrast", a.Contrast}, {"saturation", a.Saturation}} {
		if !fraction(jitter.value) {
			return fmt.Errorf("%s must lie in [0, 1], got %v", jitter.name, jitter.value)
		}
	}
	return nil
}

// noAugmentation is the text of the zero value.
const noAugmentation = "none"

// AugmentationSyntax lists what [ParseAugmentation] takes.
const AugmentationSyntax = "crop:PIXELS, crop:PIXELS:reflect, resized-crop:AREA, flip, brightness:V, contrast:V, saturation:V, cutout:PIXELS, none"

// String returns the text that [ParseAugmentation] reads back.
func (a Augmentation) String() string {
	var terms []string
	add := func(on bool, format string, args ...any) {
		if on {
			terms = append(terms, fmt.Sprintf(format, args...))
		}
	}
	add(a.Crop != 0 && !a.Reflect, "crop:%d", a.Crop)
	add(a.Reflect, "crop:%d:reflect", a.Crop)
	add(a.ResizedCrop != 0, "resized-crop:%v", a.ResizedCrop)
	add(a.Flip, "flip")
	add(a.Brightness != 0, "brightness:%v", a.Brightness)
	add(a.Contrast != 0, "contrast:%v", a.Contrast)
	add(a.Saturation != 0, "saturation:%v", a.Saturation)
	add(a.Cutout != 0, "cutout:%d", a.Cutout)
	if terms == nil {
		return noAugmentation
	}
	return strings.Join(terms, ",")
}

// ParseAugmentation reads a list such as "crop:4,flip,cutout:8", in any sequence, each at most once; "none" and "" are the zero
// value. A term that is unknown, given twice or out of range is an error that names it.
func ParseAugmentation(text string) (Augmentation, error) {
	var a Augmentation
	if text == "" || text == noAugmentation {
		return a, nil
	}
	seen := map[string]bool{}
	for _, term := range strings.Split(text, ",") {
		term = strings.TrimSpace(term)
		name, value, valued := strings.Cut(term, ":")
		if seen[name] {
			return a, fmt.Errorf("augmentation %q: %s is given twice", text, name)
		}
		seen[name] = true
		pixels, share := new(int), new(float64)
		switch name {
		case "crop":
			pixels = &a.Crop
			value, a.Reflect = strings.CutSuffix(value, ":reflect")
		case "cutout":
			pixels = &a.Cutout
		case "resized-crop":
			share = &a.ResizedCrop
		case "brightness":
			share = &a.Brightness
		case "contrast":
			share = &a.Contrast
		case "saturation":
			share = &a.Saturation
		case "flip":
			if a.Flip = true; valued {
				return a, fmt.Errorf("augmentation %q: flip takes no value", text)
			}
			continue
		default:
			return a, fmt.Errorf("augmentation %q: unknown term %q%s", text, term, nearest.AmongTerms(term, strings.Split(AugmentationSyntax, ", ")))
		}
		var err error
		if name == "crop" || name == "cutout" {
			*pixels, err = strconv.Atoi(value)
		} else {
			*share, err = strconv.ParseFloat(value, 64)
		}
		// Zero would leave the term out without a word.
		if err != nil || *pixels == 0 && *share == 0 || math.IsNaN(*share) {
			return a, fmt.Errorf("augmentation %q: %q needs a number above 0, such as %s", text, name, augmentationExamples[name])
		}
	}
	if err := a.Validate(); err != nil {
		return a, fmt.Errorf("augmentation %q: %w", text, err)
	}
	return a, nil
}

var augmentationExamples = map[string]string{
	"crop": "crop:4", "cutout": "cutout:8", "resized-crop": "resized-crop:0.08",
	"brightness": "brightness:0.4", "contrast": "contrast:0.4", "saturation": "saturation:0.4",
}

// MarshalText implements encoding.TextMarshaler, for YAML and JSON.
func (a Augmentation) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler by [ParseAugmentation].
func (a *Augmentation) UnmarshalText(text []byte) error {
	parsed, err := ParseAugmentation(string(text))
	if err == nil {
		*a = parsed
	}
	return err
}
