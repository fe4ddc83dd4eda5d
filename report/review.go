package report

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed review.js
var reviewScript string

// ReviewLock is the file that a review holds in its run directory.
const ReviewLock = ".review.lock"

// Review is what a page of a review shows beside the content.
type Review struct {
	// Nonce marks the page's own style and script, once.
	Nonce string
	// Decisions by the index of their sample.
	Decisions map[int]Decision
}

// ReviewServer serves a run's page with buttons on loopback, and saves what a person decides. It is made to be safe beside
// any page that the same person's browser shows: every request needs the token, by which the address it prints is the only
// way in, and must name the server's own host (against DNS rebinding); a decision must come from the server's own page; and
// it serves nothing but the page and its script.
type ReviewServer struct {
	content   *Content
	decisions *Decisions
	token     string
	hosts     []string
	cookie    string
}

var _ http.Handler = (*ReviewServer)(nil)

// NewReviewServer returns the handler for a listener at the address, with a random token.
func NewReviewServer(c *Content, d *Decisions, address net.Addr) (*ReviewServer, error) {
	host, port, err := net.SplitHostPort(address.String())
	if err != nil {
		return nil, err
	}
	s := &ReviewServer{content: c, decisions: d, token: rand.Text(), hosts: []string{net.JoinHostPort(host, port)}, cookie: "datadropout-review-" + port}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		s.hosts = append(s.hosts, net.JoinHostPort("localhost", port))
	}
	if port == "80" { // browsers leave it out
		for _, h := range slices.Clone(s.hosts) {
			s.hosts = append(s.hosts, strings.TrimSuffix(h, ":80"))
		}
	}
	return s, nil
}

// URL is the address that lets a person in: the token is in it.
func (s *ReviewServer) URL() string { return "http://" + s.hosts[0] + "/?token=" + s.token }

// mostDecision bounds the bytes of a decision.
const mostDecision = 1 << 10

// ServeHTTP implements http.Handler.
func (s *ReviewServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if !slices.Contains(s.hosts, strings.ToLower(r.Host)) {
		http.Error(w, "this server answers to its own address only", http.StatusMisdirectedRequest)
		return
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		http.Error(w, "requests from other pages are refused", http.StatusForbidden)
		return
	}
	if r.URL.Path == "/" && r.Method == http.MethodGet && s.right(r.URL.Query().Get("token")) {
		// The token leaves the address bar for a cookie that no other site's page can send and no script can read.
		http.SetCookie(w, &http.Cookie{Name: s.cookie, Value: s.token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if !s.admitted(r) {
		http.Error(w, "open the address that datadropout review printed: it holds the token", http.StatusUnauthorized)
		return
	}
	switch r.URL.Path {
	case "/":
		s.page(w, r)
	case "/review.js":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			h.Set("Content-Type", "text/javascript; charset=utf-8")
			_, _ = io.WriteString(w, reviewScript)
		}
	case "/decide":
		s.decide(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *ReviewServer) right(token string) bool {
	// Hashes have one length, so that the time of the comparison tells nothing.
	a, b := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// admitted says whether the request has the token, in the cookie or, for programs, as a bearer token.
func (s *ReviewServer) admitted(r *http.Request) bool {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && s.right(token) {
		return true
	}
	for _, c := range r.CookiesNamed(s.cookie) {
		if s.right(c.Value) {
			return true
		}
	}
	return false
}

func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	return false
}

func (s *ReviewServer) page(w http.ResponseWriter, r *http.Request) {
	if !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	review := &Review{Nonce: rand.Text(), Decisions: s.decisions.All()}
	page, err := s.content.Render(review)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; img-src data:; style-src 'nonce-%s'; script-src 'nonce-%s'; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'", review.Nonce, review.Nonce))
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page)
}

// decide saves a decision, {"index":17,"action":"drop"} or {"index":17,"action":"relabel","label":3}, and answers with the
// number of samples decided.
func (s *ReviewServer) decide(w http.ResponseWriter, r *http.Request) {
	if !allow(w, r, http.MethodPost) {
		return
	}
	// A page of another origin can't send this type without asking first, and is not answered when it asks.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "want application/json", http.StatusUnsupportedMediaType)
		return
	}
	if r.Header.Get("Origin") == "" && r.Header.Get("Authorization") == "" {
		http.Error(w, "a decision must say which page it comes from", http.StatusForbidden)
		return
	}
	var d struct {
		Index  *int   `json:"index"`
		Action string `json:"action"`
		Label  int    `json:"label"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostDecision))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil || d.Index == nil {
		http.Error(w, "not a decision", http.StatusBadRequest)
		return
	}
	err := s.decisions.Decide(*d.Index, Decision{Action: d.Action, Label: d.Label})
	var wrong errDecision
	switch {
	case errors.As(err, &wrong):
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]int{"decided": len(s.decisions.All())})
}

// Timeouts of the review's server: what a person's browser on the same machine never needs.
const (
	ReadTimeout = 10 * time.Second
	IdleTimeout = 2 * time.Minute
)
