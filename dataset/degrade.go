package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/datadropout/datadropout/internal/nearest"
)

// Degradation says how a clean image becomes the input of restoration. What is asked for is done in this order: resize, jpeg, poisson,
// gaussian. The zero value does nothing.
//
// Its text form lists what is on: "gaussian:25", "resize:2,gaussian:5-15"; see [ParseDegradation].
type Degradation struct {
	// Resize makes the image smaller by that factor, above 1, and as large again; see [Picture.Scaled]. 0 means none.
	Resize float64
	// JPEG is the quality, 1 to 100, of a JPEG file in between. 0 means none.
	JPEG int
	// Peak is the mean number of photons that a white pixel counts: values are Poisson numbers over Peak. 0 means none.
	Peak float64
	// Sigma holds the least and the largest standard deviation of normal noise that is added, in gray levels of 255; a sample's is
	// uniform between them. The sum is not clamped. Zeros mean none.
	Sigma [2]float64
}

// MostSigma is the largest standard deviation of noise, in gray levels.
const MostSigma = 255

// mostPeak bounds Peak: beyond, the noise is less than a level of 16 bits.
const mostPeak = 1e9

// Gaussian is noise of a fixed standard deviation in gray levels.
func Gaussian(sigma float64) Degradation { return Degradation{Sigma: [2]float64{sigma, sigma}} }

// IsZero says whether nothing is done.
func (d Degradation) IsZero() bool { return d == Degradation{} }

// Drawn says whether the degradation of a sample is drawn, and not the same each time.
func (d Degradation) Drawn() bool { return d.Peak > 0 || d.Sigma[1] > 0 }

// Validate reports the first value that is out of range.
func (d Degradation) Validate() error {
	least, most := d.Sigma[0], d.Sigma[1]
	switch {
	case d.Resize != 0 && !(d.Resize > 1 && d.Resize <= 64):
		return fmt.Errorf("the factor of resize must lie in (1, 64], got %v", d.Resize)
	case d.JPEG < 0 || d.JPEG > 100:
		return fmt.Errorf("the quality of jpeg must lie in 1..100, got %d", d.JPEG)
	case d.Peak != 0 && !(d.Peak > 0 && d.Peak <= mostPeak):
		return fmt.Errorf("the peak of poisson must lie in (0, %g], got %v", mostPeak, d.Peak)
	case !(least >= 0 && least <= most && most <= MostSigma):
		return fmt.Errorf("sigma must lie in 0..%d gray levels, its least value first, got %s", MostSigma, sigmaText(d.Sigma))
	}
	return nil
}

func sigmaText(s [2]float64) string {
	if s[0] == s[1] {
		return fmt.Sprint(s[0])
	}
	return fmt.Sprintf("%v-%v", s[0], s[1])
}

// DegradationSyntax lists what [ParseDegradation] takes.
const DegradationSyntax = "gaussian:SIGMA, gaussian:FROM-TO, poisson:PEAK, jpeg:QUALITY, resize:FACTOR, none"

// String returns the text that [ParseDegradation] reads back.
func (d Degradation) String() string {
	var terms []string
	if d.Resize != 0 {
		terms = append(terms, fmt.Sprintf("resize:%v", d.Resize))
	}
	if d.JPEG != 0 {
		terms = append(terms, fmt.Sprintf("jpeg:%d", d.JPEG))
	}
	if d.Peak != 0 {
		terms = append(terms, fmt.Sprintf("poisson:%v", d.Peak))
	}
	if d.Sigma[1] != 0 {
		terms = append(terms, "gaussian:"+sigmaText(d.Sigma))
	}
	if terms == nil {
		return "none"
	}
	return strings.Join(terms, ",")
}

// ParseDegradation reads a list such as "jpeg:30,gaussian:0-55", in any sequence, each at most once; "none" and "" are the zero value.
func ParseDegradation(text string) (Degradation, error) {
	var d Degradation
	if text == "" || text == "none" {
		return d, nil
	}
	seen := map[string]bool{}
	for _, term := range strings.Split(text, ",") {
		term = strings.TrimSpace(term)
		name, value, _ := strings.Cut(term, ":")
		if seen[name] {
			return d, fmt.Errorf("degradation %q: %s is given twice", text, name)
		}
		seen[name] = true
		var err error
		switch name {
		case "gaussian":
			d.Sigma, err = ParseSigma(value)
		case "poisson":
			d.Peak, err = strconv.ParseFloat(value, 64)
		case "jpeg":
			d.JPEG, err = strconv.Atoi(value)
		case "resize":
			d.Resize, err = strconv.ParseFloat(value, 64)
		default:
			return d, fmt.Errorf("degradation %q: unknown term %q%s", text, term, nearest.AmongTerms(term, strings.Split(DegradationSyntax, ", ")))
		}
		zero := name == "gaussian" && d.Sigma[1] == 0 || name == "poisson" && d.Peak == 0 || name == "jpeg" && d.JPEG == 0 || name == "resize" && d.Resize == 0
		if err != nil || zero { // zero would leave the term out without a word
			return d, fmt.Errorf("degradation %q: %q needs a number above 0, such as %s", text, name, map[string]string{
				"gaussian": "gaussian:25 or gaussian:0-55", "poisson": "poisson:30", "jpeg": "jpeg:10", "resize": "resize:2"}[name])
		}
	}
	if err := d.Validate(); err != nil {
		return d, fmt.Errorf("degradation %q: %w", text, err)
	}
	return d, nil
}

// ParseSigma reads a standard deviation as 25, or a range as 0-55.
func ParseSigma(text string) (sigma [2]float64, err error) {
	from, to, two := strings.Cut(text, "-")
	if !two {
		to = from
	}
	for k, s := range []string{from, to} {
		if sigma[k], err = strconv.ParseFloat(strings.TrimSpace(s), 64); err != nil {
			return sigma, fmt.Errorf("want a sigma as 25 or 0-55, in gray levels of 0..%d, got %q", MostSigma, text)
		}
	}
	return sigma, Degradation{Sigma: sigma}.Validate()
}

// MarshalText implements encoding.TextMarshaler, for YAML and JSON.
func (d Degradation) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler by [ParseDegradation].
func (d *Degradation) UnmarshalText(text []byte) error {
	parsed, err := ParseDegradation(string(text))
	if err == nil {
		*d = parsed
	}
	return err
}

// fixed returns the picture after what is not drawn.
func (d Degradation) fixed(p *Picture) *Picture {
	if d.Resize > 0 {
		p = p.downUp(d.Resize)
	}
	if d.JPEG > 0 {
		p = p.compressed(d.JPEG)
	}
	return p
}

// draw changes values in 0..1 by what is drawn, and returns the sigma of the noise added, in units of the range.
func (d Degradation) draw(rng *rand.Rand, values []float32) (sigma float32) {
	if d.Peak > 0 {
		for k, v := range values {
			values[k] = float32(poisson(rng, float64(v)*d.Peak) / d.Peak)
		}
	}
	if d.Sigma[1] == 0 {
		return 0
	}
	s := d.Sigma[0]
	if d.Sigma[1] > s {
		s += (d.Sigma[1] - s) * rng.Float64()
	}
	s /= 255
	for k := range values {
		values[k] += float32(s * rng.NormFloat64())
	}
	return float32(s)
}

// Degraded returns the degraded picture, [Height, Width, Channels] with values about 0..1, and the sigma of the normal noise in it, in
// units of the range. The draw depends on the seed and the index alone.
func (d Degradation) Degraded(p *Picture, seed, index uint64) (values []float32, sigma float32) {
	p = d.fixed(p)
	values = make([]float32, len(p.Pix))
	p.Values(values)
	return values, d.draw(stream(seed, purposePair, index), values)
}

// poisson draws a Poisson number of the mean: below 10 by the product of uniform numbers (Knuth), else by transformed rejection (PTRS,
// Hörmann 1993, "The transformed rejection method for generating Poisson random variables").
func poisson(rng *rand.Rand, mean float64) float64 {
	if mean <= 0 {
		return 0
	}
	if mean < 10 {
		limit, product, n := math.Exp(-mean), rng.Float64(), 0.0
		for product > limit {
			product *= rng.Float64()
			n++
		}
		return n
	}
	b := 0.931 + 2.53*math.Sqrt(mean)
	a := -0.059 + 0.02483*b
	alpha := 1.1239 + 1.1328/(b-3.4)
	v0 := 0.9277 - 3.6224/(b-2)
	for {
		u, v := rng.Float64()-0.5, rng.Float64()
		us := 0.5 - math.Abs(u)
		k := math.Floor((2*a/us+b)*u + mean + 0.43)
		if us >= 0.07 && v <= v0 {
			return k
		}
		if k < 0 || us < 0.013 && v > us {
			continue
		}
		gamma, _ := math.Lgamma(k + 1)
		if math.Log(v)+math.Log(alpha)-math.Log(a/(us*us)+b) <= k*math.Log(mean)-mean-gamma {
			return k
		}
	}
}
