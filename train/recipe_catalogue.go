package train

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/datadropout/datadropout/internal/nearest"
)

//go:embed recipes/*.yaml
var recipeFiles embed.FS

// NamedRecipe is a recipe of the catalogue: a recipe with what it is for and where it comes from.
type NamedRecipe struct {
	Name        string `yaml:"name" json:"name"`
	Description string `yaml:"description" json:"description"`
	// Source is the paper, and the section in it, that the settings are taken from.
	Source string `yaml:"source" json:"source"`
	// Networks names the networks it is for.
	Networks []string `yaml:"networks,flow" json:"networks"`
	Recipe   `yaml:",inline"`
	// TwoRound holds settings of two-round training; where it is empty, the recipe says nothing about them.
	TwoRound TwoRound `yaml:"two_round,omitempty" json:"two_round,omitzero"`
	// YAML is the file that all this was read from.
	YAML string `yaml:"-" json:"-"`
}

// TwoRound says what is dropped between the rounds, in the words of the settings of a run.
type TwoRound struct {
	// Rule is what to drop, such as "count:1200", and Estimator what scores.
	Rule      string `yaml:"rule,omitempty" json:"rule,omitempty"`
	Estimator string `yaml:"estimator,omitempty" json:"estimator,omitempty"`
}

// Catalogue lists the recipes that come with the program, sorted by name: recipes/*.yaml. A recipe of one's own goes into a
// run's config.yaml.
var Catalogue = readCatalogue()

// Recipes are the recipes of the catalogue by name. "default" is for any network; "smooth" is for training whose outcome is a
// smooth function of the weights of its samples, as the metagradient needs it.
var Recipes = recipesByName()

func recipesByName() map[string]Recipe {
	byName := make(map[string]Recipe, len(Catalogue))
	for _, r := range Catalogue {
		byName[r.Name] = r.Recipe
	}
	return byName
}

// RecipeNames lists the names of the catalogue, sorted.
func RecipeNames() []string {
	names := make([]string, len(Catalogue))
	for k, r := range Catalogue {
		names[k] = r.Name
	}
	return names
}

// FindRecipe returns the recipe of the catalogue with the name. An unknown name is an error that lists the known ones.
func FindRecipe(name string) (*NamedRecipe, error) {
	for k := range Catalogue {
		if Catalogue[k].Name == name {
			return &Catalogue[k], nil
		}
	}
	return nil, fmt.Errorf("unknown recipe %q%s", name, nearest.Among(name, RecipeNames()))
}

// readCatalogue reads the embedded files. They are part of the program, so one that is broken panics.
func readCatalogue() []NamedRecipe {
	entries, err := recipeFiles.ReadDir("recipes")
	if err != nil {
		panic(err)
	}
	var all []NamedRecipe
	for _, entry := range entries {
		raw, err := recipeFiles.ReadFile(path.Join("recipes", entry.Name()))
		if err != nil {
			panic(err)
		}
		r, err := parseRecipe(raw)
		if err == nil && r.Name+".yaml" != entry.Name() {
			err = fmt.Errorf("the recipe is named %q", r.Name)
		}
		if err != nil {
			panic(fmt.Sprintf("train: %s: %v", entry.Name(), err))
		}
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b NamedRecipe) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// parseRecipe reads one recipe and checks it. A key that is no setting is an error that names it.
func parseRecipe(raw []byte) (*NamedRecipe, error) {
	r := &NamedRecipe{YAML: string(raw)}
	if err := DecodeSettings(raw, r); err != nil {
		return nil, err
	}
	if r.Name == "" || r.Description == "" || r.Source == "" || len(r.Networks) == 0 {
		return nil, fmt.Errorf("a recipe of the catalogue has a name, a description, a source and networks")
	}
	return r, r.Validate()
}
