package datadropout

import "testing"

// The dropped arm's model lies where it was trained: as the arm under a fixed rule, as a trial where an adaptive rule chose.
func TestModelKey(t *testing.T) {
	fixed, adaptive := &Result{}, &Result{Drop: DropResult{Amounts: []Amount{{Chosen: false}, {Rule: "fraction:0.1"}, {Rule: "significant:0.1", Chosen: true}}}}
	for _, tt := range []struct {
		run      *Result
		reviewed *Retrained
		arm      string
		want     string
	}{
		{fixed, nil, Dropped, armKey(Dropped, 2)},
		{adaptive, nil, Dropped, trialKey("significant:0.1", 2)},
		{adaptive, nil, Full, armKey(Full, 2)},
		{adaptive, nil, HighestLoss, armKey(HighestLoss, 2)},
		{&Result{Drop: DropResult{Amounts: []Amount{{Chosen: true}}}}, nil, Full, armKey(Full, 2)},
		{adaptive, &Retrained{Models: "reviewed-abc"}, Reviewed, "reviewed-abc/2"},
	} {
		if got := tt.run.modelKey(tt.reviewed, tt.arm, 2); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.arm, got, tt.want)
		}
	}
}
