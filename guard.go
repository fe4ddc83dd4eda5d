package datadropout

import (
	"fmt"
	"math"
)

// guard keeps samples back that a rule would drop: those whose sign is unstable, and those without which a class would fall
// below a share of its training samples.
type guard struct {
	// minClassShare is the share of its training samples that every class keeps; 0 keeps none back.
	minClassShare float64
	// minSignAgreement is the least of [Estimates].SignAgreement that a sample is dropped with, under a rule that judges how
	// sure a removal effect is; 0 keeps none back.
	minSignAgreement float64
	agreement        []float64 // of every training sample; nil where there is nothing to compare
	labels           []int     // of every training sample; nil where there are no classes
	classes          int
}

// newGuard returns the guard that the settings ask for, over the training split.
func newGuard(c Config, d *Data, e *Estimates) *guard {
	g := &guard{minClassShare: c.MinClassShare, minSignAgreement: c.MinSignAgreement, agreement: e.SignAgreement, classes: len(d.Classes())}
	if g.classes > 0 {
		g.labels = d.labels(d.Split.Train)
	}
	return g
}

// judgesSigns says whether the guard of the signs holds for a rule. It does not for those that name what to drop whatever the
// standard errors are: the paper's rule, a count and a fraction that a person asks for.
func judgesSigns(r Rule) bool {
	switch r.(type) {
	case Unfavorable, Count, Fraction:
		return false
	}
	return true
}

// room returns how many samples each class may lose: of n samples it keeps minClassShare n, rounded up.
func (g *guard) room() []int {
	if g.minClassShare == 0 || g.classes == 0 {
		return nil
	}
	room := make([]int, g.classes)
	for _, l := range g.labels {
		room[l]++
	}
	for l, n := range room {
		room[l] = n - int(math.Ceil(g.minClassShare*float64(n)-1e-9))
	}
	return room
}

// apply takes out of a proposal what is kept back, and says what that is. Of a class without room for all, the first ones of
// the proposal, the most harmful, are dropped. No other sample takes the place of one that is kept back.
func (g *guard) apply(p Proposal, signs bool) (Proposal, Guarded) {
	kept := Guarded{}
	room := g.room()
	perClass := make([]GuardedClass, g.classes)
	drop := make([]int, 0, len(p.Drop))
	for _, i := range p.Drop {
		c := new(GuardedClass)
		if g.classes > 0 {
			c = &perClass[g.labels[i]]
		}
		switch {
		case signs && g.agreement != nil && g.agreement[i] < g.minSignAgreement-1e-9:
			c.UnstableSign++
			kept.UnstableSign++
		case room != nil && room[g.labels[i]] == 0:
			c.ClassShare++
			kept.ClassShare++
		default:
			drop = append(drop, i)
			if room != nil {
				room[g.labels[i]]--
			}
		}
	}
	kept.Count = kept.UnstableSign + kept.ClassShare
	for l, c := range perClass {
		if c.UnstableSign+c.ClassShare > 0 {
			c.Class = l
			kept.Classes = append(kept.Classes, c)
		}
	}
	return Proposal{Rule: p.Rule, Drop: drop}, kept
}

// highestLoss returns the places of the n training samples of the highest loss that the classes have room for: the control is
// guarded as what it is compared with, so that an emptied class does not speak against it. Ties keep the order.
func (g *guard) highestLoss(loss []float32, n int) ([]int, error) {
	negative := make([]float64, len(loss))
	for i, l := range loss {
		negative[i] = -float64(l)
	}
	p, _ := g.apply(Proposal{Drop: MostHarmful(negative)}, false)
	if len(p.Drop) < n {
		return nil, fmt.Errorf("the control of the highest loss finds %d samples to drop, want %d", len(p.Drop), n)
	}
	return p.Drop[:n], nil
}
