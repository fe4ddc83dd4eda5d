package evidence

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout"
)

func TestOptionsRefuse(t *testing.T) {
	for _, test := range []struct {
		options Options
		says    string
	}{
		{Options{Estimators: []string{"oracle"}}, "oracle"},
		{Options{Estimators: []string{"cg", "random", "cg"}}, "twice"},
		{Options{Tests: []string{"shapley"}}, "known: loo, lds, group, mislabel"},
		{Options{Fractions: []float64{0.1, 1}}, "(0, 1)"},
		{Options{Fractions: []float64{math.NaN()}}, "(0, 1)"},
		{Options{Fractions: []float64{0.1, 0.1}}, "twice"},
		{Options{Subsets: 2}, "at least 3"},
		{Options{LOOSamples: -1}, "at least 3"},
		{Options{RetrainSeeds: -1}, "negative"},
		{Options{PerPoint: 5, Tests: []string{Group}}, "lds"},
	} {
		err := test.options.Validate()
		var usage *datadropout.UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: error %v, want one of usage about %q", test.options, err, test.says)
		}
	}
	if err := (Options{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
}

func TestDefaultTestsLookForPlantedLabelsWhereThereAreSome(t *testing.T) {
	for planted, want := range map[bool][]string{false: {LDS, Group}, true: {LDS, Group, Mislabel}} {
		if got := (Options{}).WithDefaults(planted); !slices.Equal(got.Tests, want) || got.Subsets != DefaultSubsets || got.Validate() != nil {
			t.Errorf("planted %v: %+v", planted, got)
		}
	}
}

func TestStudyRefusesWhatTheDataDoNotAllow(t *testing.T) {
	s := study(t)
	clean := *s.Data.Images
	clean.Labels = clean.Original
	clean.Original = nil
	withoutNoise := s
	withoutNoise.Data = &datadropout.Data{Images: &clean, Split: s.Data.Split, Hash: s.Data.Hash}
	varying := s
	varying.Config.Deterministic = false
	for _, test := range []struct {
		study   Study
		options Options
		says    string
	}{
		{s, Options{Tests: []string{LOO}, LOOSamples: 200, LOOGroup: 2}, "400"},
		{s, Options{PerPoint: 1000}, "1000"},
		{varying, Options{Estimators: []string{"cg", "metagradient"}}, "the estimator metagradient repeats the training"},
		{varying, Options{Estimators: []string{"cg", "tracin"}}, "the estimator tracin repeats the training"},
		{varying, Options{Estimators: []string{"aum"}}, "the estimator aum repeats the training"},
		{withoutNoise, Options{Tests: []string{Mislabel}}, "label noise"},
	} {
		_, err := test.study.Run(t.Context(), test.options)
		var usage *datadropout.UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: error %v, want one of usage about %q", test.options, err, test.says)
		}
	}
}
