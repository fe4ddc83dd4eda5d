package report

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// reviewed serves a review of the outcome of the tests, one of whose classes and ids is a script, and returns a client that has
// been let in.
func reviewed(t *testing.T) (s *ReviewServer, client *http.Client, dir string) {
	t.Helper()
	o := outcome(t)
	images := *o.Data.Images
	images.Classes = append([]string{`<script>alert("class")</script>`}, images.Classes[1:]...)
	images.IDs = append([]string{`a"><script>alert("id")</script>`}, images.IDs[1:]...)
	o.Data.Images = &images
	c, err := NewContent(o)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	d, err := OpenDecisions(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	if s, err = NewReviewServer(c, d, server.Listener.Addr()); err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s
	server.Start()
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client = &http.Client{Jar: jar}
	answer, err := client.Get(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Request.URL.RawQuery != "" {
		t.Fatalf("the printed address answers %s at %s: the token must leave the address", answer.Status, answer.Request.URL)
	}
	return s, client, dir
}

// ask makes a request with headers as name, value, ... and returns status and body. Host sets the host that is asked for.
func ask(t *testing.T, client *http.Client, method, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k := 0; k < len(headers); k += 2 {
		if headers[k] == "Host" {
			r.Host = headers[k+1]
		}
		r.Header.Set(headers[k], headers[k+1])
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(content)
}

func TestReviewServer(t *testing.T) {
	s, client, dir := reviewed(t)
	base := "http://" + s.hosts[0]
	review := filepath.Join(dir, ReviewFile)
	const kind, js = "Content-Type", "application/json"
	drop := `{"index":0,"action":"drop"}`
	if err := os.WriteFile(filepath.Join(dir, "secret.txt"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	stranger := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, test := range []struct {
		name         string
		client       *http.Client
		method, path string
		body         string
		headers      []string
		want         int
	}{
		{"no token", stranger, "GET", "/", "", nil, 401},
		{"a wrong token", stranger, "GET", "/?token=" + strings.Repeat("A", len(s.token)), "", nil, 401},
		{"a part of the token", stranger, "GET", "/?token=" + s.token[:len(s.token)-1], "", nil, 401},
		{"a wrong cookie", stranger, "GET", "/", "", []string{"Cookie", s.cookie + "=AAAA"}, 401},
		{"the script without a token", stranger, "GET", "/review.js", "", nil, 401},
		{"a decision without a token", stranger, "POST", "/decide", drop, []string{kind, js, "Origin", base}, 401},
		{"a rebound name", client, "GET", "/", "", []string{"Host", "evil.example"}, 421},
		{"a rebound name with the token", stranger, "GET", "/?token=" + s.token, "", []string{"Host", "evil.example:80"}, 421},
		{"the page asked for by another", client, "GET", "/", "", []string{"Origin", "https://evil.example"}, 403},
		{"a decision from another page", client, "POST", "/decide", drop, []string{kind, js, "Origin", "https://evil.example"}, 403},
		{"a decision from a sandbox", client, "POST", "/decide", drop, []string{kind, js, "Origin", "null"}, 403},
		{"a decision from nowhere", client, "POST", "/decide", drop, []string{kind, js}, 403},
		{"a form", client, "POST", "/decide", drop, []string{kind, "application/x-www-form-urlencoded", "Origin", base}, 415},
		{"plain text", client, "POST", "/decide", drop, []string{kind, "text/plain", "Origin", base}, 415},
		{"asking first", client, "OPTIONS", "/decide", "", []string{"Origin", base}, 405},
		{"a decision by GET", client, "GET", "/decide", "", nil, 405},
		{"a sample that is not shown", client, "POST", "/decide", `{"index":999,"action":"drop"}`, []string{kind, js, "Origin", base}, 400},
		{"an unknown action", client, "POST", "/decide", `{"index":0,"action":"burn"}`, []string{kind, js, "Origin", base}, 400},
		{"a label out of range", client, "POST", "/decide", `{"index":0,"action":"relabel","label":99}`, []string{kind, js, "Origin", base}, 400},
		{"no index", client, "POST", "/decide", `{"action":"drop"}`, []string{kind, js, "Origin", base}, 400},
		{"a key too many", client, "POST", "/decide", `{"index":0,"action":"drop","path":"/etc"}`, []string{kind, js, "Origin", base}, 400},
		{"too large", client, "POST", "/decide", `{"action":"` + strings.Repeat("x", 1<<20) + `"}`, []string{kind, js, "Origin", base}, 400},
		{"a file of the run", client, "GET", "/secret.txt", "", nil, 404},
		{"a way out", client, "GET", "/..%2f..%2fetc%2fpasswd", "", nil, 404},
		{"a way out with dots", client, "GET", "/../secret.txt", "", nil, 404},
		{"the page by POST", client, "POST", "/", "", []string{"Origin", base}, 405},
		{"the script", client, "GET", "/review.js", "", nil, 200},
	} {
		code, header, body := ask(t, test.client, test.method, base+test.path, test.body, test.headers...)
		if code != test.want {
			t.Errorf("%s: %d, want %d: %s", test.name, code, test.want, body)
		}
		if !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'") || header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: headers %v", test.name, header)
		}
		if strings.Contains(body, "secret") && !strings.Contains(test.path, "review.js") {
			t.Errorf("%s: served %s", test.name, body)
		}
	}
	if _, err := os.Stat(review); err == nil {
		t.Error("a refused decision was saved")
	}
	for _, step := range []struct{ body, want string }{
		{drop, "index,id,label,action,new_label\n0,"},
		{`{"index":0,"action":"relabel","label":2}`, ",relabel,2\n"},
		{`{"index":0,"action":""}`, "index,id,label,action,new_label\n"},
	} {
		if code, _, body := ask(t, client, "POST", base+"/decide", step.body, kind, js, "Origin", base); code != 200 {
			t.Fatalf("%s: %d %s", step.body, code, body)
		}
		if saved, err := os.ReadFile(review); err != nil || !strings.Contains(string(saved), step.want) {
			t.Errorf("%s is saved as %q (%v)", step.body, saved, err)
		}
	}
}

// TestReviewPageEscapes: names of classes and ids come from people's files, and are text on the page whatever they hold.
func TestReviewPageEscapes(t *testing.T) {
	s, client, _ := reviewed(t)
	_, header, page := ask(t, client, "GET", "http://"+s.hosts[0]+"/", "")
	if strings.Contains(page, "<script>alert") || !strings.Contains(page, "&lt;script&gt;alert") {
		t.Error("a script in a name is on the page as it is, or is not there at all")
	}
	nonce := regexp.MustCompile(`script-src 'nonce-([^']+)'`).FindStringSubmatch(header.Get("Content-Security-Policy"))
	if nonce == nil {
		t.Fatalf("no nonce in %q", header.Get("Content-Security-Policy"))
	}
	for _, tag := range regexp.MustCompile(`<(script|style)[^>]*>`).FindAllString(page, -1) {
		if !strings.Contains(tag, `nonce="`+nonce[1]+`"`) {
			t.Errorf("%s has not the nonce of the page", tag)
		}
	}
	if _, again, _ := ask(t, client, "GET", "http://"+s.hosts[0]+"/", ""); again.Get("Content-Security-Policy") == header.Get("Content-Security-Policy") {
		t.Error("two pages have one nonce")
	}
}

// TestDecisionsAtOnce saves from many sides: the file is whole at every moment, and holds all of them in the end.
func TestDecisionsAtOnce(t *testing.T) {
	o := outcome(t)
	c, err := NewContent(o)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	d, err := OpenDecisions(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	shown := append(append([]Sample{}, c.Harmful...), c.Helpful...)
	for k, s := range shown {
		wait.Go(func() {
			for range 5 {
				if err := d.Decide(s.Index, Decision{Action: []string{Keep, Drop}[k%2]}); err != nil {
					t.Error(err)
				}
				if _, err := ReadDecisions(filepath.Join(dir, ReviewFile)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	again, err := OpenDecisions(dir, c)
	if err != nil || fmt.Sprint(again.All()) != fmt.Sprint(d.All()) || len(again.All()) == 0 {
		t.Errorf("%v read back as %v (%v)", d.All(), again.All(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v is in the folder (%v)", entries, err)
	}
}

func FuzzDecisions(f *testing.F) {
	f.Add([]byte("index,id,label,action,new_label\n3,train/00003,1,relabel,2\n4,\"a,b\",0,drop,\n"))
	f.Add([]byte("index,id,label,action,new_label\n3,x,1,drop,2\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		list, err := parseDecisions(bytes.NewReader(content))
		if err != nil {
			return
		}
		again, err := parseDecisions(bytes.NewReader(formatDecisions(list)))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(list) {
			t.Errorf("%v is written and read back as %v (%v)", list, again, err)
		}
	})
}
