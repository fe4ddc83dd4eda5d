package report

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// contrasts is a script that returns what on the page is too faint to read: every element with text of its own whose color stands out
// from what lies behind it by less than WCAG 2 asks for at level AA, 4.5 to 1, or 3 to 1 for large letters.
const contrasts = `(() => {
	const parse = s => {
		let m = s.match(/^rgba?\(([^)]+)\)/);
		if (m) { const v = m[1].split(/[ ,/]+/).map(Number); return [v[0] / 255, v[1] / 255, v[2] / 255, v[3] ?? 1]; }
		m = s.match(/^color\(srgb ([^)]+)\)/);
		if (m) { const v = m[1].split(/[ /]+/).map(Number); return [v[0], v[1], v[2], v[3] ?? 1]; }
		throw "a color that is not known: " + s;
	};
	const over = (a, b) => [0, 1, 2].map(k => a[k] * a[3] + b[k] * (1 - a[3])).concat(1);
	const behind = e => {
		const layers = [];
		for (; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
		return layers.reverse().reduce((below, c) => over(c, below), [1, 1, 1, 1]);
	};
	const luminance = c => [0.2126, 0.7152, 0.0722].reduce((s, w, k) => s + w * (c[k] <= 0.04045 ? c[k] / 12.92 : ((c[k] + 0.055) / 1.055) ** 2.4), 0);
	const faint = [];
	for (const e of document.body.querySelectorAll("*")) {
		const text = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join(" ").trim();
		const style = getComputedStyle(e);
		if (!text || e.tagName === "title" || e.tagName === "NOSCRIPT" || e.tagName === "SCRIPT" || style.visibility === "hidden") continue;
		const back = behind(e), front = over(parse(e.ownerSVGElement ? style.fill : style.color), back);
		const [low, high] = [luminance(front), luminance(back)].sort((a, b) => a - b);
		const size = parseFloat(style.fontSize), ratio = (high + 0.05) / (low + 0.05);
		if (ratio < (size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5)) faint.push(ratio.toFixed(2) + ": " + text.slice(0, 60));
	}
	return faint;
})()`

// The page in a browser, in light and dark: letters are readable, pictures and charts say what they show, headings follow one another
// without a gap, the tab key goes through the page from top to bottom and reaches all that scrolls, and none of it needs a script.
func TestPageIsAccessible(t *testing.T) {
	t.Run("classification", func(t *testing.T) { checkAccessible(t, runDirectory(t, outcome(t)), 5) })
	t.Run("denoising", func(t *testing.T) {
		checkAccessible(t, runDirectory(t, denoisingOutcome(t, smallDenoising)), 2*shown+6)
	})
}

// checkAccessible checks the page of a run directory, on which there are so many samples.
func checkAccessible(t *testing.T, dir string, samples int) {
	t.Helper()
	b := openBrowser(t)
	list := func(expression string) (found []string) {
		t.Helper()
		if err := json.Unmarshal([]byte(b.evaluate(expression)), &found); err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, scheme := range []string{"light", "dark"} {
		b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
		b.open("file://"+filepath.Join(dir, PageFile), fmt.Sprintf(`document.readyState === "complete" && document.querySelectorAll(".sample").length === %d`, samples))
		if got := b.evaluate(`matchMedia("(prefers-color-scheme: dark)").matches`); (got == "true") != (scheme == "dark") {
			t.Fatalf("%s: the browser is dark: %s", scheme, got)
		}
		if faint := list(contrasts); len(faint) > 0 {
			t.Errorf("%s: too faint: %s", scheme, strings.Join(faint, "; "))
		}
	}
	for what, expression := range map[string]string{
		"pictures without a description":  `[...document.images].filter(i => !i.alt.trim()).map(i => i.outerHTML.slice(0, 80))`,
		"charts without a description":    `[...document.querySelectorAll("svg")].filter(s => s.getAttribute("role") !== "img" || !s.getAttribute("aria-label")).map(s => s.outerHTML.slice(0, 80))`,
		"headings out of order":           `[...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].filter((h, k, all) => Number(h.tagName[1]) > (k ? Number(all[k - 1].tagName[1]) + 1 : 1)).map(h => h.textContent)`,
		"titles of the page":              `[...document.querySelectorAll("h1")].slice(1).map(h => h.textContent)`,
		"links that lead nowhere":         `[...document.querySelectorAll("a")].filter(a => !document.querySelector(a.getAttribute("href"))).map(a => a.outerHTML)`,
		"regions that no key reaches":     `[...document.querySelectorAll(".scroll")].filter(e => e.tabIndex !== 0 || !e.getAttribute("aria-label")).map(e => e.outerHTML.slice(0, 80))`,
		"places in the order of the tabs": `[...document.querySelectorAll("[tabindex]")].filter(e => e.tabIndex > 0).map(e => e.outerHTML.slice(0, 80))`,
		"columns and rows without a head": `[...document.querySelectorAll("table")].filter(t => !t.querySelector("th[scope=col]")).map(t => t.outerHTML.slice(0, 80))`,
		"names that are given twice":      `[...document.querySelectorAll("[id]")].map(e => e.id).filter((id, k, all) => all.indexOf(id) !== k)`,
		"scripts":                         `[...document.scripts].map(s => s.outerHTML)`,
	} {
		if found := list(expression); len(found) > 0 {
			t.Errorf("%s: %s", what, strings.Join(found, "; "))
		}
	}
	// The tab key, from the top: what it reaches, in the order in which it does.
	b.evaluate(`window.order = [...document.querySelectorAll("a, summary, [tabindex='0']")].filter(e => e.checkVisibility()); document.addEventListener("focusin", e => (window.seen ??= []).push(window.order.indexOf(e.target))); 0`)
	for range 8 {
		for _, kind := range []string{"keyDown", "keyUp"} {
			b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}, nil)
		}
	}
	if got := b.evaluate(`window.seen ?? []`); got != "[0,1,2,3,4,5,6,7]" {
		t.Errorf("the tab key goes to %s, want the first eight in the order of the page", got)
	}
	if got := b.evaluate(`document.querySelector(".skip").getAttribute("href") === "#harmful" && window.order[0].className`); got != `"skip"` {
		t.Errorf("the first is %s, want the link that skips to the samples", got)
	}
	// Colors of the print are those of paper, whatever the screen.
	b.call("Emulation.setEmulatedMedia", map[string]any{"media": "print", "features": []map[string]string{{"name": "prefers-color-scheme", "value": "dark"}}}, nil)
	if got := b.evaluate(`[getComputedStyle(document.body).color, getComputedStyle(document.querySelector("nav")).display].join()`); got != `"rgb(0, 0, 0),none"` {
		t.Errorf("in print the letters and the links are %s", got)
	}
	if faint := list(contrasts); len(faint) > 0 {
		t.Errorf("print: too faint: %s", strings.Join(faint, "; "))
	}
}
