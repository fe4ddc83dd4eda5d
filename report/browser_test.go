package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// browser is a Chromium that is driven through its DevTools pipe: messages that end in a zero byte, to its file descriptor 3 and
// from its file descriptor 4.
type browser struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	last    int
	session string
}

// openBrowser starts a headless Chromium with an empty profile, or skips the test where there is none.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	if testing.Short() || runtime.GOOS == "windows" {
		t.Skip("no browser is started in short tests, nor on Windows")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium on this machine: apt-get install chromium")
	}
	theirs, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, others, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// Its processes write into the profile for a moment after they are told to end, so a T's own folder would not be emptied.
	profile, err := os.MkdirTemp("", "review-browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 50 {
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	command := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
		"--user-data-dir="+profile, "--remote-debugging-pipe", "--window-size=900,900", "about:blank")
	command.ExtraFiles = []*os.File{theirs, others}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	others.Close()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		to.Close()
		from.Close()
	})
	watchdog := time.AfterFunc(60*time.Second, func() { _ = command.Process.Kill() })
	t.Cleanup(func() { watchdog.Stop() })
	b := &browser{t: t, to: to, from: bufio.NewReader(from)}
	var target struct {
		TargetID string `json:"targetId"`
	}
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct {
		SessionID string `json:"sessionId"`
	}
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	return b
}

// call sends a command and waits for its answer; events in between are left aside.
func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.last++
	message := map[string]any{"id": b.last, "method": method, "params": params}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	raw, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(raw, 0)); err != nil {
		b.t.Fatal(err)
	}
	for {
		raw, err := b.from.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("%s: the browser has gone: %v", method, err)
		}
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(raw[:len(raw)-1], &answer); err != nil {
			b.t.Fatal(err)
		}
		if answer.ID != b.last {
			continue
		}
		if answer.Error != nil {
			b.t.Fatalf("%s: %s", method, answer.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(answer.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
}

// evaluate returns the value of a JavaScript expression as text; a promise is waited for.
func (b *browser) evaluate(expression string) string {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, answer.ExceptionDetails)
	}
	return string(answer.Result.Value)
}

// open goes to an address and waits until the condition holds there.
func (b *browser) open(address, until string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": address}, nil)
	b.wait(until)
}

// wait waits until the condition holds.
func (b *browser) wait(condition string) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if b.evaluate("Boolean("+condition+")") == "true" {
			return
		}
	}
	b.t.Fatalf("%s does not come about; the status is %s", condition, b.evaluate(`document.getElementById("status")?.textContent ?? document.body?.innerText ?? ""`))
}

// press presses a key.
func (b *browser) press(key string) {
	b.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "text": map[string]string{"keyDown": key}[kind]}, nil)
	}
}

// A person reviews with keys and buttons in a real browser, and the file holds what they decided; names that are markup stay
// text; and a page from elsewhere that the same browser shows decides nothing.
func TestReviewInABrowser(t *testing.T) {
	const hostile = `<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>`
	b := openBrowser(t)
	r := review(t, func(c *Content) {
		c.Classes = append([]string(nil), c.Classes...)
		c.Classes[c.Harmful[0].Label] = hostile
		c.Harmful[0].ID = hostile
	})
	b.open(r.handler.URL(), `document.documentElement?.dataset.review === "ready"`)
	if got := b.evaluate(`location.search`); got != `""` {
		t.Errorf("the token is still in the address: %s", got)
	}
	if got := b.evaluate(`getComputedStyle(document.querySelector(".sample")).borderTopWidth`); got != `"1px"` {
		t.Errorf("the page's style is not used: the border is %s wide", got)
	}
	saved := func(want ...Decided) {
		t.Helper()
		list, err := ReadDecisions(filepath.Join(r.dir, ReviewFile))
		if err != nil && !(len(want) == 0 && errors.Is(err, os.ErrNotExist)) {
			t.Fatal(err)
		}
		if len(list) != len(want) {
			t.Fatalf("saved %+v, want %+v", list, want)
		}
		for k := range want {
			if list[k].Index != want[k].Index || list[k].Decision != want[k].Decision {
				t.Fatalf("saved %+v, want %+v", list, want)
			}
		}
	}
	decided := func(index int, action string) {
		t.Helper()
		b.wait(fmt.Sprintf(`document.getElementById("sample-%d").dataset.decision === %q`, index, action))
	}
	// The samples are, in order, those of the indices 1, 0, 2, 11 and 10.
	b.press("j")
	b.press("2")
	decided(1, Drop)
	saved(Decided{Reference{Index: 1}, Decision{Drop, 0}})
	b.press("j")
	b.press("1")
	decided(0, Keep)
	b.press("k")
	b.press("0")
	decided(1, "")
	saved(Decided{Reference{Index: 0}, Decision{Keep, 0}})
	b.evaluate(`document.querySelector("#sample-2 button[data-action=drop]").click()`)
	decided(2, Drop)
	// The label after the sample's own, by the list.
	label := b.evaluate(`(() => { const s = document.querySelector("#sample-1 select"); s.value = s.options[2].value; s.dispatchEvent(new Event("change")); return Number(s.value) })()`)
	decided(1, Relabel)
	var chosen int
	if err := json.Unmarshal([]byte(label), &chosen); err != nil {
		t.Fatal(err)
	}
	all := []Decided{{Reference{Index: 0}, Decision{Keep, 0}}, {Reference{Index: 1}, Decision{Relabel, chosen}}, {Reference{Index: 2}, Decision{Drop, 0}}}
	saved(all...)
	b.open(r.server.URL, `document.documentElement?.dataset.review === "ready"`)
	if got := b.evaluate(`document.querySelector("#sample-1 select").value`); got != fmt.Sprintf("%q", fmt.Sprint(chosen)) {
		t.Errorf("after reloading the label is %s, want %d", got, chosen)
	}
	var name string
	if err := json.Unmarshal([]byte(b.evaluate(`[typeof window.hurt, document.querySelector("#sample-1 h3").textContent].join()`)), &name); err != nil {
		t.Fatal(err)
	}
	if name != "undefined,"+hostile {
		t.Errorf("a name that is markup became %q", name)
	}
	for _, address := range []string{"https://example.com/x.png", r.server.URL + "/review.js"} {
		if got := b.evaluate(fmt.Sprintf(`new Promise(done => { const i = new Image(); i.onload = () => done("loaded"); i.onerror = () => done("refused"); i.src = %q })`, address)); got != `"refused"` {
			t.Errorf("the page loads a picture from %s: %s", address, got)
		}
	}

	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<title>elsewhere</title>")
	}))
	defer elsewhere.Close()
	b.open(elsewhere.URL, `document.title === "elsewhere"`)
	for _, request := range []string{
		`{method: "POST", mode: "no-cors", credentials: "include", body: '{"index":11,"action":"drop"}'}`,
		`{method: "POST", credentials: "include", headers: {"Content-Type": "application/json"}, body: '{"index":11,"action":"drop"}'}`,
		`{credentials: "include"}`,
	} {
		got := b.evaluate(fmt.Sprintf(`fetch(%q, %s).then(a => a.text()).catch(() => "")`, r.server.URL+"/decide", request))
		if got != `""` {
			t.Errorf("a page from elsewhere reads %s", got)
		}
	}
	if got := b.evaluate(fmt.Sprintf(`new Promise(done => { const f = document.createElement("iframe"); f.onload = () => { try { done(f.contentDocument.title) } catch { done("") } }; f.src = %q; document.body.append(f) })`, r.server.URL)); got != `""` && got != "null" {
		t.Errorf("a page from elsewhere frames the review: %s", got)
	}
	saved(all...)
}

// The page of a run fits a narrow screen: nothing but what scrolls by itself is wider.
func TestPageFitsAPhone(t *testing.T) {
	t.Run("classification", func(t *testing.T) { checkWidths(t, runDirectory(t, outcome(t)), 5) })
	t.Run("denoising", func(t *testing.T) { checkWidths(t, runDirectory(t, denoisingOutcome(t, smallDenoising)), 2*shown+6) })
}

// checkWidths checks the page of a run directory, on which there are so many samples.
func checkWidths(t *testing.T, dir string, samples int) {
	t.Helper()
	b := openBrowser(t)
	for _, width := range []int{360, 900, 1600} {
		b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
		b.open("file://"+filepath.Join(dir, PageFile), fmt.Sprintf(`document.readyState === "complete" && document.querySelectorAll(".sample").length === %d`, samples))
		if got := b.evaluate(`innerWidth === ` + fmt.Sprint(width) + ` && document.documentElement.scrollWidth <= innerWidth`); got != "true" {
			t.Errorf("on a screen of %d pixels the page is %s wide", width, b.evaluate(`document.documentElement.scrollWidth`))
		}
		if got := b.evaluate(`[...document.images].filter(i => !i.complete || i.naturalWidth === 0).length`); got != "0" {
			t.Errorf("%s pictures do not show", got)
		}
	}
}
