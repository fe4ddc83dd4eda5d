package report

import (
	"math"
	"testing"

	"github.com/datadropout/datadropout"
)

func TestMetric(t *testing.T) {
	nan := datadropout.Number(math.NaN())
	e := datadropout.Effect{Difference: 0.0296, CI95: datadropout.Interval{0.0077, 0.0516}, P: 0.02}
	one := datadropout.Effect{Difference: 0.5, CI95: datadropout.Interval{nan, nan}, P: nan}
	for _, tt := range []struct{ metric, got, want string }{
		{"accuracy", MetricOf("accuracy").Value(0.8731, 0.0042), "87.31 ± 0.42 %"},
		{"accuracy", MetricOf("accuracy").Value(0.8731, math.NaN()), "87.31 %"},
		{"accuracy", MetricOf("accuracy").Effect(e), "+2.96 points, 95 % interval +0.77 to +5.16, p = 0.02"},
		{"accuracy", MetricOf("accuracy").Tick(0.85), "85 %"},
		{"psnr", MetricOf("psnr").Value(31.256, 0.1), "31.26 ± 0.10 dB"},
		{"psnr", MetricOf("psnr").Effect(one), "+0.500 dB (one seed: no interval)"},
		{"psnr", MetricOf("psnr").Tick(31.5), "31.5 dB"},
		{"ssim", MetricOf("ssim").Difference(-0.00123), "-0.0012"},
		{"unknown", MetricOf("unknown").Difference(0.25), "+0.250"},
		{"interval", MetricOf("psnr").Interval(one.CI95), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.metric, tt.got, tt.want)
		}
	}
}
