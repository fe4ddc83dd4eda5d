package train

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mostSettings bounds a file of settings, in bytes. A run's has about two thousand.
const mostSettings = 1 << 20

// DecodeSettings reads settings from YAML into the struct that to points at: one document, in which every key is a setting. What it
// leaves out stays as it is, and so does everything for an empty text. The error is one line for people: it names the line of the text
// and the setting or the value that is wrong.
func DecodeSettings(raw []byte, to any) error {
	if len(raw) > mostSettings {
		return fmt.Errorf("has %d bytes, more than the %d that settings may", len(raw), mostSettings)
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(to); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return settingsError(err)
	}
	if err := d.Decode(&yaml.Node{}); err == nil {
		return errors.New("holds a second document of settings after a line ---")
	} else if !errors.Is(err, io.EOF) {
		return settingsError(err)
	}
	var written, read yaml.Node
	if err := cmp.Or(yaml.Unmarshal(raw, &written), read.Encode(to)); err != nil {
		return settingsError(err)
	}
	if len(written.Content) == 0 { // comments only
		return nil
	}
	return fractions(written.Content[0], &read)
}

// fractions finds a fraction where a setting is a whole number, which the decoder rounds without a word. written is the text, and
// read what the decoder made of it, without settings that are zero.
func fractions(written, read *yaml.Node) error {
	if written.Kind == yaml.AliasNode {
		written = written.Alias
	}
	if written.Kind != yaml.MappingNode || read.Kind != yaml.MappingNode {
		return nil
	}
	for k := 0; k < len(written.Content); k += 2 {
		key, value := written.Content[k], written.Content[k+1]
		setting := &yaml.Node{}
		for j := 0; j < len(read.Content); j += 2 {
			if read.Content[j].Value == key.Value {
				setting = read.Content[j+1]
			}
		}
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		var number float64
		if value.ShortTag() == "!!float" && (setting.Kind == 0 || setting.ShortTag() == "!!int") && value.Decode(&number) == nil && number != math.Trunc(number) {
			return fmt.Errorf("line %d: want a whole number, got %q", value.Line, value.Value)
		}
		if err := fractions(value, setting); err != nil {
			return err
		}
	}
	return nil
}

var (
	unknownSetting = regexp.MustCompile(`^(line \d+): field (.*) not found in type \S+$`)
	wrongValue     = regexp.MustCompile("(?s)^(line \\d+): cannot unmarshal !!(\\S+) (?:`(.*)` )?into (\\S+)$")
)

// kindsOfValues are the types of settings as people call what they hold.
var kindsOfValues = map[string]string{
	"int": "a whole number", "int64": "a whole number", "uint64": "a whole number of at least 0", "float64": "a number",
	"bool": "true or false", "string": "text", "[]float64": "a list of numbers", "[]string": "a list", "dataset.Augmentation": "terms as text",
}

// settingsError says in one line what the decoder found wrong: the first of several things, and how many more there are.
func settingsError(err error) error {
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) || len(wrong.Errors) == 0 {
		return errors.New(strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " "))
	}
	text := wrong.Errors[0]
	if m := unknownSetting.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("%s: unknown setting %q", m[1], m[2])
	} else if m := wrongValue.FindStringSubmatch(text); m != nil {
		want, ok := kindsOfValues[m[4]]
		if !ok {
			want = "settings by name"
		}
		got := fmt.Sprintf("%q", m[3])
		switch m[2] {
		case "seq":
			got = "a list"
		case "map":
			got = "settings by name"
		}
		text = fmt.Sprintf("%s: want %s, got %s", m[1], want, got)
	}
	if more := len(wrong.Errors) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return errors.New(strings.Join(strings.Fields(text), " "))
}
