package nearest

import "testing"

func TestAmongTerms(t *testing.T) {
	known := []string{"crop:PIXELS", "resized-crop:AREA", "flip"}
	for term, want := range map[string]string{
		"flipp":             ", did you mean flip? Known: crop:PIXELS, resized-crop:AREA, flip",
		"corp:4":            ", did you mean crop:PIXELS? Known: crop:PIXELS, resized-crop:AREA, flip",
		"rezised-crop:0.25": ", did you mean resized-crop:AREA? Known: crop:PIXELS, resized-crop:AREA, flip",
		"blur:3":            "; known: crop:PIXELS, resized-crop:AREA, flip",
	} {
		if got := AmongTerms(term, known); got != want {
			t.Errorf("%q: %s, want %s", term, got, want)
		}
	}
}

func TestAmong(t *testing.T) {
	known := []string{"cnn", "lenet5", "resnet20", "resnet32"}
	for name, want := range map[string]string{
		"resnt20": ", did you mean resnet20? Known: cnn, lenet5, resnet20, resnet32",
		"resnet":  ", did you mean resnet20? Known: cnn, lenet5, resnet20, resnet32",
		"lenet":   ", did you mean lenet5? Known: cnn, lenet5, resnet20, resnet32",
		"cn":      ", did you mean cnn? Known: cnn, lenet5, resnet20, resnet32",
		"cnm":     ", did you mean cnn? Known: cnn, lenet5, resnet20, resnet32",
		"ncn":     ", did you mean cnn? Known: cnn, lenet5, resnet20, resnet32",
		"xyz":     "; known: cnn, lenet5, resnet20, resnet32",
		"":        "; known: cnn, lenet5, resnet20, resnet32",
	} {
		if got := Among(name, known); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
