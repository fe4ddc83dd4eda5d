package evidence_test

import (
	"context"
	"fmt"
	"log"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/evidence"
)

// Does dropping what influence names help more than chance would, on the built-in set?
func ExampleStudy_Run() {
	config := datadropout.DefaultConfig()
	config.Train, config.Score, config.Tune, config.Test = 200, 100, 10, 100
	config.Net, config.Recipe.Epochs = "softmax", 5
	backend, err := cpu.New("")
	if err != nil {
		log.Fatal(err)
	}
	defer backend.Finalize()
	data, err := datadropout.LoadData(context.Background(), &config)
	if err != nil {
		log.Fatal(err)
	}
	study := evidence.Study{Config: config, Data: data, Backend: backend}
	result, err := study.Run(context.Background(), evidence.Options{
		Estimators: []string{"cg"}, Tests: []string{evidence.Group}, Fractions: []float64{0.2}, Subsets: 3,
	})
	if err != nil {
		log.Fatal(err)
	}
	g := result.Estimators[0].Group[0]
	fmt.Println("trainings:", result.Retrainings)
	fmt.Println("dropped:", g.Count)
	fmt.Println("the most harmful beat random ones:", g.Harmful.ScoreLoss < g.Random.ScoreLoss)
	fmt.Println("and random ones the most helpful:", g.Random.ScoreLoss < g.Helpful.ScoreLoss)
	// Output:
	// trainings: 5
	// dropped: 40
	// the most harmful beat random ones: true
	// and random ones the most helpful: true
}
