package train

import (
	"strings"
	"testing"
	"time"
)

// bomb is nine anchors, each of nine of the one before: a few hundred bytes that stand for a billion values.
func bomb() string {
	var b strings.Builder
	b.WriteString("a: &a [x,x,x,x,x,x,x,x,x]\n")
	for c := 'b'; c <= 'i'; c++ {
		prev := string(c - 1)
		b.WriteString(string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+prev+",", 8) + "*" + prev + "]\n")
	}
	return b.String()
}

// TestDecodeSettings: whatever is wrong in settings is said at once, in one line without a word of Go.
func TestDecodeSettings(t *testing.T) {
	for _, test := range []struct{ name, raw, says string }{
		{"nothing", "", ""},
		{"a comment", "# nothing\n", ""},
		{"null", "milestones: null\n", ""},
		{"an unknown setting", "epochs: 3\nepoch: 3\n", `line 2: unknown setting "epoch"`},
		{"text for a number", "epochs: many\n", `line 1: want a whole number, got "many"`},
		{"a fraction for a whole number", "epochs: 1.5\n", `line 1: want a whole number, got "1.5"`},
		{"a fraction for a whole number that is left out when zero", "step_every: 0.5\n", `line 1: want a whole number, got "0.5"`},
		{"a whole number with an exponent", "epochs: 1e2\nstep_factor: 0.5\nmilestones: [0.5, 3]\nlearning_rate: 1\nmomentum: 0.0\n", ""},
		{"a whole number that is too large", "epochs: 99999999999999999999\n", "want a whole number, got"},
		{"a number that is too large", "learning_rate: 1e400\n", `line 1: want a number, got "1e400"`},
		{"a number for a truth", "nesterov: 7\n", `line 1: want true or false, got "7"`},
		{"a number for a list", "milestones: 3\n", `line 1: want a list of numbers, got "3"`},
		{"a list for a number", "\nepochs: [1, 2]\n", "line 2: want a whole number, got a list"},
		{"settings for a number", "epochs: {a: 1}\n", "line 1: want a whole number, got settings by name"},
		{"a list for settings", "- 1\n- 2\n", "line 1: want settings by name, got a list"},
		{"text for settings", "just text\n", `line 1: want settings by name, got "just text"`},
		{"several things", "a: 1\nb: 2\nc: 3\n", `line 1: unknown setting "a" (and 2 more)`},
		{"a setting twice", "epochs: 1\nepochs: 2\n", `line 2: mapping key "epochs" already defined at line 1`},
		{"a second document", "epochs: 1\n---\nepochs: 2\n", "holds a second document"},
		{"a broken second document", "epochs: 1\n---\n[\n", "did not find"},
		{"an unknown anchor", "epochs: *e\n", "unknown anchor 'e' referenced"},
		{"an anchor in itself", "milestones: &m [*m]\n", "want a number, got a list"},
		{"a control character", "epochs: \x01\n", "control characters are not allowed"},
		{"no text", "\xff\xfe\x00", ""},
		{"brackets without end", strings.Repeat("[", 20000), "max depth"},
		{"a bomb", bomb(), `unknown setting "a"`},
		{"a bomb for a list", strings.Replace(bomb(), "i: &i", "milestones: &i", 1), ""},
		{"a long file", strings.Repeat("# comment\n", 1<<18), "more than the 1048576 that settings may"},
	} {
		start := time.Now()
		err := DecodeSettings([]byte(test.raw), &Recipe{})
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: took %v", test.name, took)
		}
		switch {
		case test.says == "" && err == nil:
		case err == nil || !strings.Contains(err.Error(), test.says):
			t.Errorf("%s: error %v, want one about %q", test.name, err, test.says)
		case strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "train.") || strings.Contains(err.Error(), "!!"):
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestDecodeSettingsKeeps: what is left out stays.
func TestDecodeSettingsKeeps(t *testing.T) {
	r := Recipe{Epochs: 7, Momentum: 0.5}
	if err := DecodeSettings([]byte("label_smoothing: 0.1\nmomentum: 0.9\n"), &r); err != nil || r.Epochs != 7 || r.Momentum != 0.9 || r.LabelSmoothing != 0.1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRecipeBounds(t *testing.T) {
	for says, change := range map[string]func(*Recipe){
		"epochs must be at most 1000000":        func(r *Recipe) { r.Epochs = 1 << 62 },
		"label smoothing must lie in [0, 1)":    func(r *Recipe) { r.LabelSmoothing = 1 },
		"smoothing must lie in [0, 1), got -0.": func(r *Recipe) { r.LabelSmoothing = -0.1 },
	} {
		r := recipe
		change(&r)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}

// FuzzParseRecipe: whatever a recipe holds, it is a valid one or one line that says what is wrong.
func FuzzParseRecipe(f *testing.F) {
	for _, r := range Catalogue {
		f.Add([]byte(r.YAML))
	}
	f.Add([]byte(bomb()))
	f.Add([]byte("epochs: &e [*e]\n<<: *e\n"))
	f.Add([]byte("? {a: b}\n: !!binary aGk=\n"))
	f.Add([]byte("name: a\ndescription: b\nsource: c\nnetworks: [d]\nepochs: 1\nbatch_size: 9223372036854775807\nlearning_rate: 1e308\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parseRecipe(raw)
		switch {
		case err != nil && (err.Error() == "" || strings.Contains(err.Error(), "\n")):
			t.Fatalf("the error is not one line: %q", err)
		case err == nil:
			if err := r.Validate(); err != nil {
				t.Fatalf("an invalid recipe: %v", err)
			}
			if steps := r.Steps(50000); steps < 1 {
				t.Fatalf("%d steps", steps)
			}
		}
	})
}
