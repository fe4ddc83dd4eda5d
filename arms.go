package datadropout

import "github.com/datadropout/datadropout/dataset"

// selectControls fills in which positions each arm keeps at each seed. The control arms drop as many samples as the
// dropped arm: random as many of every class, drawn anew at each seed; highest_loss those of the highest training loss
// in round 1 of the first seed, as far as the guard of the classes lets them go.
func (r *runner) selectControls(kept map[string][][]int) error {
	highest, err := r.highestLoss(r.out.Dropped)
	if err != nil {
		return err
	}
	highest = r.data.without(highest)
	for k := range r.config.Seeds {
		random, err := r.randomLike(r.out.Dropped, k)
		if err != nil {
			return err
		}
		kept[Dropped] = append(kept[Dropped], r.out.Kept)
		kept[Random] = append(kept[Random], r.data.without(random))
		kept[HighestLoss] = append(kept[HighestLoss], highest)
	}
	return nil
}

// randomLike draws, at seed number k, as many positions of every class as the given ones have.
func (r *runner) randomLike(dropped []int, k int) ([]int, error) {
	if r.units != nil {
		return r.units.random(dropped, r.seed(k))
	}
	if r.data.Images == nil { // patches have no classes
		return dataset.StratifiedSample(make([]int, r.data.Source().Len()), r.data.Split.Train, []int{len(dropped)}, r.seed(k))
	}
	images := r.data.Images
	perClass := make([]int, len(images.Classes))
	for _, i := range dropped {
		perClass[images.Labels[i]]++
	}
	return dataset.StratifiedSample(images.Labels, r.data.Split.Train, perClass, r.seed(k))
}

// highestLoss returns as many positions as the given ones, those of the highest training loss in round 1 of the first seed, as far as the
// guard of the classes lets them go.
func (r *runner) highestLoss(dropped []int) ([]int, error) {
	if r.units != nil {
		return r.units.highestLoss(dropped, r.out.TrainLoss), nil
	}
	worst, err := r.guard.highestLoss(r.out.TrainLoss, len(dropped))
	return r.positions(worst), err
}
