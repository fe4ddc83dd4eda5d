package main

import (
	"time"

	"github.com/datadropout/datadropout"
)

// progress follows a run by its events: how much of the stage is done, and how long stage and run still take. Without an estimate
// it knows the stage alone.
type progress struct {
	estimate *estimate // nil for none
	now      func() time.Time

	stage            string
	began, stageTime time.Time // of the run and of the stage
	finished         float64   // estimated seconds of the stages that have ended
	pieces           int       // of the stage that have ended, those done before left out
	resumed          int       // and those
	fraction         float64   // of the stage
	last             datadropout.Event
	rate, loss       float64
	metric           float64 // of what was measured last in the stage; below 0 for none
}

// at notes an event.
func (p *progress) at(e datadropout.Event) {
	if e.Stage != p.stage {
		if p.stage == "" {
			p.began = p.now()
		} else if p.estimate != nil {
			p.finished += p.estimate.most[p.stage]
		}
		*p = progress{estimate: p.estimate, now: p.now, stage: e.Stage, began: p.began, stageTime: p.now(), finished: p.finished, metric: -1}
	}
	if e.Rate > 0 {
		p.rate, p.loss = e.Rate, e.Loss
	}
	switch {
	case e.Type == "measured":
		p.metric = e.Metric
		return
	case e.Type == "done" && e.Resumed:
		p.resumed++
		p.last = e
		return
	}
	p.last = e
	p.fraction = max(p.fraction, p.share(e))
	if e.Type == "done" {
		p.pieces++
	}
}

// trainings is the number planned for the stage; 0 where nothing is known.
func (p *progress) trainings() int {
	if p.estimate == nil {
		return 0
	}
	return datadropout.Trainings(p.estimate.plan.Most, p.stage)
}

// share returns the fraction of the stage that is done with an event.
func (p *progress) share(e datadropout.Event) float64 {
	planned := p.trainings()
	if e.Kind == datadropout.KindTraining && planned > 0 && e.Stage != datadropout.StageInfluence {
		return min(1, (float64(p.pieces)+e.Fraction)/float64(planned))
	}
	part := e.Fraction
	if e.Kind == datadropout.KindScores && e.Type != "done" {
		part = min(almost, part*p.overshoot())
	}
	if e.Stage == datadropout.StageInfluence && p.estimate != nil {
		// A part may be a training and then its scores.
		training := p.trainingShare()
		if e.Kind == datadropout.KindTraining {
			part *= training
		} else if training > 0 {
			part = training + part*(1-training)
		}
	}
	if e.Kind == datadropout.KindEvaluation && e.Type == "done" {
		return 1
	}
	return min(1, (float64(e.Part-1)+part)/float64(max(1, e.Parts)))
}

// almost is the most that is said of a solver that takes longer than it was expected to.
const almost = 0.95

// overshoot is how many times the samples that are expected to be evaluated for the scores there can be: their progress counts up
// to that.
func (p *progress) overshoot() float64 {
	if p.estimate == nil {
		return 1
	}
	expected, most := 0.0, 0.0
	for _, w := range p.estimate.plan.Most {
		if w.Kind == datadropout.KindScores {
			expected, most = expected+w.Samples, most+w.Most
		}
	}
	if expected == 0 {
		return 1
	}
	return most / expected
}

// trainingShare is the share of the influence stage that trains the models that are scored.
func (p *progress) trainingShare() float64 {
	all, training := 0.0, 0.0
	for _, w := range p.estimate.plan.Most {
		if w.Stage == datadropout.StageInfluence {
			all += w.Samples
			if w.Trainings == 1 {
				training += w.Samples
			}
		}
	}
	if all == 0 {
		return 0
	}
	return training / all
}

// place returns the number of a stage among those of the run, from 1, and how many there are; 0 where nothing is known.
func (p *progress) place(of string) (i, n int) {
	if p.estimate == nil {
		return 0, 0
	}
	all := p.estimate.stages()
	for k, stage := range all {
		if stage == of {
			return k + 1, len(all)
		}
	}
	return 0, 0
}

// skipped lists the planned stages between the present one and the next in which nothing was done.
func (p *progress) skipped(next string) []string {
	from, _ := p.place(p.stage)
	to, _ := p.place(next)
	if from == 0 || to <= from {
		return nil
	}
	return p.estimate.stages()[from : to-1]
}

// elapsed is how long the stage has taken so far.
func (p *progress) elapsed() time.Duration { return p.now().Sub(p.stageTime) }

// early is the share of a stage below which the estimate says more about the rest than the time so far.
const early = 0.05

// left returns how long the stage still takes, and the run; below 0 where nothing is known.
func (p *progress) left() (stage, run time.Duration) {
	const unknown = -1
	elapsed := p.elapsed().Seconds()
	rest := float64(unknown)
	if p.fraction >= early && elapsed > 0 {
		rest = elapsed * (1 - p.fraction) / p.fraction
	}
	if p.estimate == nil {
		return seconds(rest), unknown
	}
	pace := p.pace()
	if rest < 0 {
		rest = p.estimate.most[p.stage] * pace * (1 - p.fraction)
	}
	all, passed := rest, false
	for _, stage := range p.estimate.stages() {
		if passed {
			all += p.estimate.most[stage] * pace
		}
		passed = passed || stage == p.stage
	}
	return seconds(rest), seconds(all)
}

// pace is how long the run has taken so far over what was estimated for it.
func (p *progress) pace() float64 {
	const trusted, most = 1.0, 10.0 // seconds below which the time says nothing, and a bound
	expected := p.finished + p.estimate.most[p.stage]*p.fraction
	took := p.now().Sub(p.began).Seconds()
	if expected <= 0 || took < trusted {
		return 1
	}
	return max(1/most, min(most, took/expected))
}
