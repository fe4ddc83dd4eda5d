package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
)

const (
	// mostClassRows is how many classes are listed one by one; of more, the shownClasses largest and smallest are.
	mostClassRows = 40
	shownClasses  = 10
	// shownExamples bounds the images that stand for a finding, shownFiles the files of a list.
	shownExamples = 3
	shownFiles    = 20
	// barWidth is the length of the longest bar, nameWidth that of the longest name of a class, in letters.
	barWidth  = 30
	nameWidth = 32
)

// printInfo prints what was found in a data set for people.
func printInfo(w io.Writer, c *datadropout.Config, found *datadropout.Inspected, sheet string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %d classes\n", found.Name, describeImages(found), len(found.Classes))
	if c.DataDir != "" {
		fmt.Fprintf(&b, "in %s\n", c.DataDir)
	}
	if s := found.Sizes; s != nil && s.Distinct > 1 {
		fmt.Fprintf(&b, "in their files the images have %d sizes: heights from %d to %d, widths from %d to %d\n", s.Distinct, s.LeastHeight, s.MostHeight, s.LeastWidth, s.MostWidth)
	} else if s != nil && (s.LeastHeight != found.Height || s.LeastWidth != found.Width) {
		fmt.Fprintf(&b, "in their files the images are %dx%d\n", s.LeastHeight, s.LeastWidth)
	}
	for _, note := range found.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	b.WriteByte('\n')
	printParts(&b, found.Inspection)
	b.WriteByte('\n')
	printClasses(&b, found.Inspection)
	b.WriteByte('\n')
	printFindings(&b, found)
	if sheet != "" {
		fmt.Fprintf(&b, "\nA contact sheet is in %s\n", sheet)
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func describeImages(found *datadropout.Inspected) string {
	kind := map[int]string{1: "gray", 3: "color"}[found.Channels]
	if kind == "" {
		kind = fmt.Sprintf("%d-channel", found.Channels)
	}
	return fmt.Sprintf("%s images of %dx%d", kind, found.Height, found.Width)
}

func printParts(w io.Writer, r *dataset.Inspection) {
	t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	fmt.Fprintln(t, "\timages\tchannel means\tdeviations")
	row := func(name string, p *dataset.PartInspection) {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", name, p.Images, fixed(p.Mean), fixed(p.Std))
	}
	row("training", r.Train)
	if r.Test != nil {
		row("official test", r.Test)
	}
	t.Flush()
	if r.Test == nil {
		fmt.Fprintln(w, "no test set of its own: run takes its test split from these images")
	}
}

func fixed(values []float64) string {
	text := make([]string, len(values))
	for k, v := range values {
		text[k] = fmt.Sprintf("%.4f", v)
	}
	return strings.Join(text, " ")
}

// printClasses prints the balance of the classes: a bar for each of few, the extremes of many.
func printClasses(w io.Writer, r *dataset.Inspection) {
	order := make([]int, len(r.Classes))
	for k := range order {
		order[k] = k
	}
	counts := r.Train.PerClass
	bySize := slices.Clone(order)
	slices.SortStableFunc(bySize, func(a, b int) int { return counts[b] - counts[a] })
	most, least := bySize[0], bySize[len(bySize)-1]
	many := len(order) > mostClassRows
	even := counts[most] == counts[least] && (r.Test == nil || slices.Min(r.Test.PerClass) == slices.Max(r.Test.PerClass))
	if !many || !even {
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		head, digits := "class\ttraining\t", len("training")
		if r.Test != nil {
			head += "\t  test"
		}
		fmt.Fprintln(t, head)
		row := func(k int) {
			fmt.Fprintf(t, "%s\t%*d\t%4.1f %%\t", clip(r.Classes[k]), digits, counts[k], 100*float64(counts[k])/float64(r.Train.Images))
			if r.Test != nil {
				fmt.Fprintf(t, "%6d\t", r.Test.PerClass[k])
			}
			fmt.Fprintln(t, strings.Repeat("█", (counts[k]*barWidth+counts[most]/2)/max(1, counts[most])))
		}
		if many {
			for _, k := range bySize[:shownClasses] {
				row(k)
			}
			fmt.Fprintf(t, "... %d more%s\n", len(order)-2*shownClasses, strings.Repeat("\t", strings.Count(head, "\t")+1))
			bySize = bySize[len(bySize)-shownClasses:]
			order = bySize
		}
		for _, k := range order {
			row(k)
		}
		t.Flush()
	}
	if counts[most] == counts[least] {
		of := ""
		if r.Test != nil && even {
			of = fmt.Sprintf(", %d of the test set", r.Test.PerClass[0])
		}
		fmt.Fprintf(w, "balance: %s of each class%s\n", plural(counts[most], "training image"), of)
	} else {
		fmt.Fprintf(w, "balance: from %s (%s) to %d (%s); always guessing %s is right for %.1f %% of the training images\n",
			plural(counts[least], "training image"), clip(r.Classes[least]), counts[most], clip(r.Classes[most]), clip(r.Classes[most]), 100*float64(counts[most])/float64(r.Train.Images))
	}
	lacking := func(part string, perClass []int) {
		var names []string
		for k, n := range perClass {
			if n == 0 {
				names = append(names, clip(r.Classes[k]))
			}
		}
		if len(names) > 0 {
			fmt.Fprintf(w, "warning: %s without %s image: %s\n", pluralForm(len(names), "class", "classes"), part, examples(names))
		}
	}
	lacking("a training", counts)
	if r.Test != nil {
		lacking("a test", r.Test.PerClass)
	}
}

// printFindings prints what deserves a look.
func printFindings(w io.Writer, found *datadropout.Inspected) {
	d, r := found.Duplicates, found.Inspection
	t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	const copied, copies = "image like an earlier one", "images like an earlier one"
	fmt.Fprintf(t, "copies in training\t%s\n", finding(d.Train, copied, copies, pairs(r.Copies, isTrain, isTrain)))
	if r.Test != nil {
		fmt.Fprintf(t, "copies in test\t%s\n", finding(d.Test, copied, copies, pairs(r.Copies, isTest, isTest)))
		fmt.Fprintf(t, "leakage\t%s\n", warning(d.Leaked, "test image is in training too, and flatters",
			"test images are in training too, and flatter", pairs(r.Copies, isTrain, isTest)))
	}
	fmt.Fprintf(t, "contradictions\t%s\n", warning(d.Contradictions, "picture with different labels", "pictures with different labels", contradictions(r.Copies)))
	blank := r.Train.NearBlank
	if r.Test != nil {
		blank = slices.Concat(blank, r.Test.NearBlank)
	}
	fmt.Fprintf(t, "near-blank\t%s\n", finding(len(blank), "image", "images", blank))
	unreadable := make([]string, 0, len(found.Unreadable))
	for _, u := range found.Unreadable {
		unreadable = append(unreadable, fmt.Sprintf("%s: %v", u.Path, u.Err))
	}
	if found.Sizes != nil {
		fmt.Fprintf(t, "unreadable\t%s\n", finding(len(unreadable), "image", "images", nil))
	}
	t.Flush()
	for k, line := range unreadable {
		if k == shownFiles {
			fmt.Fprintf(w, "  and %d more, which --json lists\n", len(unreadable)-k)
			break
		}
		fmt.Fprintf(w, "  %s\n", line)
	}
}

// finding counts what was found, with examples.
func finding(n int, one, several string, ids []string) string {
	if n == 0 {
		return "none"
	}
	text := pluralForm(n, one, several)
	if len(ids) > 0 {
		text += ": " + examples(ids)
	}
	return text
}

// examples joins the first of the names, and says how many more there are.
func examples(names []string) string {
	if len(names) <= shownExamples {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shownExamples], ", "), len(names)-shownExamples)
}

// warning is a finding that makes results worth less.
func warning(n int, one, several string, ids []string) string {
	text := finding(n, one, several, ids)
	if n > 0 {
		text = "warning: " + text
	}
	return text
}

func isTrain(c dataset.Copy) bool { return !c.Test }
func isTest(c dataset.Copy) bool  { return c.Test }

// pairs writes of each group of copies the first one of the first kind and the first one after it of the second kind, if there are such.
func pairs(groups []dataset.Copies, first, second func(dataset.Copy) bool) []string {
	var all []string
	for _, g := range groups {
		a := slices.IndexFunc(g, first)
		if a < 0 {
			continue
		}
		if b := slices.IndexFunc(g[a+1:], second); b >= 0 {
			all = append(all, g[a].ID+" = "+g[a+1+b].ID)
		}
	}
	return all
}

// contradictions writes two images of different labels of each group that has such.
func contradictions(groups []dataset.Copies) []string {
	var all []string
	for _, g := range groups {
		if k := slices.IndexFunc(g, func(c dataset.Copy) bool { return c.Label != g[0].Label }); k > 0 {
			all = append(all, fmt.Sprintf("%s (%s) = %s (%s)", g[0].ID, clip(g[0].Class), g[k].ID, clip(g[k].Class)))
		}
	}
	return all
}

func plural(n int, noun string) string { return pluralForm(n, noun, noun+"s") }

func pluralForm(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

func images(n int) string { return plural(n, "image") }

// clip shortens the name of a class.
func clip(name string) string {
	if letters := []rune(name); len(letters) > nameWidth {
		return string(letters[:nameWidth-3]) + "..."
	}
	return name
}
