package report

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// reviewing is a review that is served, and a client that has been let in.
type reviewing struct {
	dir       string
	decisions *Decisions
	server    *httptest.Server
	handler   *ReviewServer
	in        *http.Client
}

func review(t *testing.T, edit func(c *Content)) *reviewing {
	t.Helper()
	r := &reviewing{dir: t.TempDir()}
	c, err := NewContent(outcome(t))
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(c)
	}
	if r.decisions, err = OpenDecisions(r.dir, c); err != nil {
		t.Fatal(err)
	}
	r.server = httptest.NewUnstartedServer(nil)
	if r.handler, err = NewReviewServer(c, r.decisions, r.server.Listener.Addr()); err != nil {
		t.Fatal(err)
	}
	r.server.Config.Handler = r.handler
	r.server.Start()
	t.Cleanup(r.server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.in = &http.Client{Jar: jar}
	response, err := r.in.Get(r.handler.URL())
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Request.URL.RawQuery != "" {
		t.Fatalf("the printed address leads to %s: %s", response.Request.URL, response.Status)
	}
	return r
}

// decideAs sends a decision with the headers that edit leaves in it.
func (r *reviewing) decideAs(t *testing.T, client *http.Client, body string, edit func(q *http.Request)) (int, string) {
	t.Helper()
	q, err := http.NewRequest(http.MethodPost, r.server.URL+"/decide", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Origin", r.server.URL)
	if edit != nil {
		edit(q)
	}
	response, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

const dropOne = `{"index":1,"action":"drop"}`

func TestReviewSavesDecisions(t *testing.T) {
	r := review(t, nil)
	if code, text := r.decideAs(t, r.in, dropOne, nil); code != http.StatusOK || strings.TrimSpace(text) != `{"decided":1}` {
		t.Fatalf("%d, %q", code, text)
	}
	if code, _ := r.decideAs(t, r.in, `{"index":10,"action":"relabel","label":4}`, nil); code != http.StatusOK {
		t.Fatal(code)
	}
	list, err := ReadDecisions(filepath.Join(r.dir, ReviewFile))
	if err != nil || len(list) != 2 || list[0].Action != Drop || list[1].Decision != (Decision{Relabel, 4}) {
		t.Errorf("saved %+v (%v)", list, err)
	}
	// The page shows what is decided.
	response, err := r.in.Get(r.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`data-index="1" data-decision="drop"`).Match(page) || !regexp.MustCompile(`data-index="10" data-decision="relabel"`).Match(page) ||
		!strings.Contains(string(page), `<option value="4" selected>`) || !strings.Contains(string(page), "2 decided.") {
		t.Error("the page does not show the decisions")
	}
	// A program may use the token as a bearer token, without a page.
	bearer := func(q *http.Request) {
		q.Header.Del("Origin")
		q.Header.Set("Authorization", "Bearer "+r.handler.token)
	}
	if code, text := r.decideAs(t, http.DefaultClient, `{"index":1,"action":""}`, bearer); code != http.StatusOK || strings.TrimSpace(text) != `{"decided":1}` {
		t.Errorf("with a bearer token: %d, %q", code, text)
	}
}

// Whoever is not the person at the printed address neither sees nor changes anything.
func TestReviewRefuses(t *testing.T) {
	r := review(t, nil)
	stranger := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	address, err := url.Parse(r.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		client *http.Client
		body   string
		edit   func(q *http.Request)
		want   int
	}{
		{"no token", stranger, dropOne, nil, http.StatusUnauthorized},
		{"a wrong token", stranger, dropOne, func(q *http.Request) { q.Header.Set("Authorization", "Bearer x") }, http.StatusUnauthorized},
		{"an empty token", stranger, dropOne, func(q *http.Request) { q.Header.Set("Authorization", "Bearer ") }, http.StatusUnauthorized},
		{"a wrong cookie", stranger, dropOne, func(q *http.Request) { q.AddCookie(&http.Cookie{Name: r.handler.cookie, Value: "x"}) }, http.StatusUnauthorized},
		{"the token in the address of a decision", stranger, dropOne, func(q *http.Request) { q.URL.RawQuery = "token=" + r.handler.token }, http.StatusUnauthorized},
		{"another page", r.in, dropOne, func(q *http.Request) { q.Header.Set("Origin", "https://evil.example") }, http.StatusForbidden},
		{"another port of the same host", r.in, dropOne, func(q *http.Request) { q.Header.Set("Origin", "http://127.0.0.1:1") }, http.StatusForbidden},
		{"an opaque origin", r.in, dropOne, func(q *http.Request) { q.Header.Set("Origin", "null") }, http.StatusForbidden},
		{"https", r.in, dropOne, func(q *http.Request) { q.Header.Set("Origin", "https://"+address.Host) }, http.StatusForbidden},
		{"no origin", r.in, dropOne, func(q *http.Request) { q.Header.Del("Origin") }, http.StatusForbidden},
		{"a form", r.in, "index=1&action=drop", func(q *http.Request) { q.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, http.StatusUnsupportedMediaType},
		{"plain text", r.in, dropOne, func(q *http.Request) { q.Header.Set("Content-Type", "text/plain") }, http.StatusUnsupportedMediaType},
		{"no type", r.in, dropOne, func(q *http.Request) { q.Header.Del("Content-Type") }, http.StatusUnsupportedMediaType},
		{"another host", r.in, dropOne, func(q *http.Request) { q.Host = "evil.example" }, http.StatusMisdirectedRequest},
		{"a name that was bound anew", r.in, dropOne, func(q *http.Request) {
			q.Host = "evil.example:" + address.Port()
			q.Header.Set("Origin", "http://"+q.Host)
		}, http.StatusMisdirectedRequest},
		{"another port", r.in, dropOne, func(q *http.Request) { q.Host = "127.0.0.1:1" }, http.StatusMisdirectedRequest},
		{"reading a decision", r.in, "", func(q *http.Request) { q.Method = http.MethodGet }, http.StatusMethodNotAllowed},
		{"asking first", r.in, "", func(q *http.Request) {
			q.Method = http.MethodOptions
			q.Header.Set("Origin", "https://evil.example")
		}, http.StatusForbidden},
		{"no JSON", r.in, "drop it", nil, http.StatusBadRequest},
		{"no index", r.in, `{"action":"drop"}`, nil, http.StatusBadRequest},
		{"an unknown key", r.in, `{"index":1,"action":"drop","path":"/etc/passwd"}`, nil, http.StatusBadRequest},
		{"a sample that is not shown", r.in, `{"index":7,"action":"drop"}`, nil, http.StatusBadRequest},
		{"an unknown action", r.in, `{"index":1,"action":"rm"}`, nil, http.StatusBadRequest},
		{"a label out of range", r.in, `{"index":1,"action":"relabel","label":1000}`, nil, http.StatusBadRequest},
		{"a number too large", r.in, `{"index":1e99,"action":"drop"}`, nil, http.StatusBadRequest},
		{"too much", r.in, `{"index":1,"action":"` + strings.Repeat("x", 1<<16) + `"}`, nil, http.StatusBadRequest},
	} {
		code, text := r.decideAs(t, tt.client, tt.body, tt.edit)
		if code != tt.want {
			t.Errorf("%s: %d (%s), want %d", tt.name, code, strings.TrimSpace(text), tt.want)
		}
		if strings.Contains(text, r.handler.token) {
			t.Errorf("%s: the answer tells the token", tt.name)
		}
	}
	if made := r.decisions.All(); len(made) != 0 {
		t.Errorf("something was decided: %v", made)
	}
	for _, query := range []string{"", "?token=", "?token=x", "?token=" + r.handler.token[1:]} {
		response, err := stranger.Get(r.server.URL + "/" + query)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized || strings.Contains(string(body), "<html") || len(response.Cookies()) > 0 {
			t.Errorf("the page with %q: %s", query, response.Status)
		}
	}
}

// Nothing but the page, its script and the decisions is served, however a path is written.
func TestReviewServesNothingElse(t *testing.T) {
	r := review(t, nil)
	if code, _ := r.decideAs(t, r.in, dropOne, nil); code != http.StatusOK {
		t.Fatal(code)
	}
	for _, path := range []string{
		"/review.csv", "/result.json", "/page.json", "/config.yaml", "/checkpoints/", "/../review.csv", "/..%2freview.csv", "/%2e%2e/%2e%2e/etc/passwd",
		"//etc/passwd", "/review.js/../../etc/passwd", "/./review.csv", "/review.js%00", "/index.html", "/favicon.ico", "/static/..\\..\\review.csv", "/decide/",
	} {
		// As it stands, by hand: a client tidies paths up.
		connection, err := net.Dial("tcp", r.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		host := r.server.Listener.Addr().String()
		_, err = io.WriteString(connection, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nAuthorization: Bearer "+r.handler.token+"\r\nConnection: close\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(connection)
		connection.Close()
		if err != nil {
			t.Fatal(err)
		}
		status, _, _ := strings.Cut(string(answer), "\r\n")
		if !strings.Contains(status, " 404 ") && !strings.Contains(status, " 400 ") {
			t.Errorf("%s: %s", path, status)
		}
		if strings.Contains(string(answer), "new_label") || strings.Contains(string(answer), "root:") {
			t.Errorf("%s: a file was served", path)
		}
	}
}

func TestReviewHeaders(t *testing.T) {
	r := review(t, nil)
	nonces := map[string]bool{}
	for range 2 {
		response, err := r.in.Get(r.server.URL)
		if err != nil {
			t.Fatal(err)
		}
		page, _ := io.ReadAll(response.Body)
		response.Body.Close()
		policy := response.Header.Get("Content-Security-Policy")
		match := regexp.MustCompile(`script-src 'nonce-([A-Z2-7]{26,})'`).FindStringSubmatch(policy)
		if match == nil || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Fatalf("the policy is %q", policy)
		}
		nonces[match[1]] = true
		if strings.Count(string(page), `nonce="`+match[1]+`"`) != 2 {
			t.Error("script and style do not have the page's nonce")
		}
		if strings.Contains(string(page), r.handler.token) {
			t.Error("the page tells the token")
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
	if len(nonces) != 2 {
		t.Error("two pages have the same nonce")
	}
	stranger := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := stranger.Get(r.handler.URL())
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	cookies := response.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Errorf("the cookies are %+v", cookies)
	}
}

// Two reviews have two tokens, and one's token does not open the other.
func TestReviewTokens(t *testing.T) {
	a, b := review(t, nil), review(t, nil)
	if a.handler.token == b.handler.token || len(a.handler.token) < 26 {
		t.Fatalf("the tokens are %q and %q", a.handler.token, b.handler.token)
	}
	if code, _ := b.decideAs(t, http.DefaultClient, dropOne, func(q *http.Request) { q.Header.Set("Authorization", "Bearer "+a.handler.token) }); code != http.StatusUnauthorized {
		t.Errorf("the token of another review: %d", code)
	}
}

// What the script sends is what the server reads.
func TestReviewScriptSpeaksTheServersLanguage(t *testing.T) {
	for _, want := range []string{`fetch("/decide"`, `"Content-Type": "application/json"`, "index:", "action, label:"} {
		if !strings.Contains(reviewScript, want) {
			t.Errorf("the script lacks %q", want)
		}
	}
	var answer struct{ Decided int }
	r := review(t, nil)
	_, text := r.decideAs(t, r.in, `{"index":1,"action":"keep","label":0}`, nil)
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Decided != 1 {
		t.Errorf("the answer is %q (%v)", text, err)
	}
}
