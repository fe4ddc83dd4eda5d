package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/net"
)

// schema adds the fields of a JSON value with their types, by path: "a.b number", "list[] string". What differs from element to
// element of a list, or from line to line, is joined.
func schema(prefix string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		if prefix != "" {
			into[prefix] = "object"
		}
		for key, value := range v {
			schema(strings.TrimPrefix(prefix+"."+key, "."), value, into)
		}
	case []any:
		into[prefix] = "list"
		for _, value := range v {
			schema(prefix+"[]", value, into)
		}
	case nil:
		if into[prefix] == "" {
			into[prefix] = "null"
		}
	default:
		kind := map[string]string{"float64": "number", "string": "string", "bool": "boolean"}[fmt.Sprintf("%T", v)]
		if old := into[prefix]; old != "" && old != kind && old != "null" {
			kind = old + " or " + kind
		}
		into[prefix] = kind
	}
}

// The lines of --json keep their fields and types, and docs/events.md names every one of a type other than result.
func TestJSONSchema(t *testing.T) {
	dir := t.TempDir()
	types := map[string]map[string]string{}
	add := func(lines string) {
		for line := range strings.Lines(lines) {
			var v map[string]any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			name, _ := v["type"].(string)
			if name == "" {
				t.Fatalf("a line without a type: %s", line)
			}
			if types[name] == nil {
				types[name] = map[string]string{}
			}
			schema("", v, types[name])
		}
	}
	read := func(args ...string) {
		code, stdout, stderr := runCommand(t, args...)
		if code != exitDone || stderr != "" {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
		add(stdout)
	}
	out := filepath.Join(dir, "run")
	read(with(out, "--json", "--rule", "auto", "--budget", "9h")...)
	read("run", "--resume", "--out", out, "--json")
	// What a quick run may have none of: progress beyond the first step, and settings that were lowered.
	network, err := net.New("softmax", [3]int{8, 8, 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	var made strings.Builder
	e := plannedRun()
	e.plan.Networks = map[string]*net.Network{"softmax": network}
	p, quick := newJSONPrinter(&made), &clock{}
	p.now = func() time.Time { quick.pass(1); return quick.at }
	p.plan(e, datadropout.Config{Net: "softmax"})
	playRun(&clock{}, p)
	add(made.String())
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(types)) {
		fmt.Fprintf(&b, "%s\n", name)
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/events.md does not name the type %s", name)
		}
		if name == "result" {
			continue // the content of result.json: see docs/files.md
		}
		for _, field := range slices.Sorted(maps.Keys(types[name])) {
			fmt.Fprintf(&b, "  %s: %s\n", field, types[name][field])
			key := field[strings.LastIndex(field, ".")+1:]
			if key = strings.TrimSuffix(key, "[]"); !strings.HasPrefix(field, "recipe.") && !strings.HasPrefix(field, "solver.") && !strings.Contains(string(doc), "`"+key+"`") {
				t.Errorf("docs/events.md does not name the field %s of %s", key, name)
			}
		}
	}
	golden(t, "json-schema.txt", b.String())
}

// Progress is told often enough to follow and seldom enough to keep, and the first of a piece always.
func TestJSONProgressIsThrottled(t *testing.T) {
	c := &clock{}
	c.pass(1e9)
	var b strings.Builder
	p := newJSONPrinter(&b)
	p.now = c.now
	playRun(c, p)
	slow := strings.Count(b.String(), `"type":"progress"`)
	b.Reset()
	fast := &clock{}
	fast.pass(1e9)
	p.now = fast.now
	playRun(&clock{}, p) // no time passes for the printer
	if quick := strings.Count(b.String(), `"type":"progress"`); slow != 4*4+2 || quick != 4+1 {
		t.Errorf("%d lines of progress of a slow run, want 18, and %d of a quick one, want 5: one a piece", slow, quick)
	}
}
