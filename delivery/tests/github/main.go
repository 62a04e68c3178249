// Command github is a stand-in for GitHub's API for the tests of delivery. It serves the requests of a release and of the gates:
//
//	github [-fail=N] FOLDER
//
// It prints its address, keeps releases in memory, writes each published release to FOLDER/TAG (a file for each asset), and answers
// requests about branches, commits and environments with the files in FOLDER/settings. The upload of asset N fails.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
)

type asset struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	data []byte
}

type release struct {
	ID         int64   `json:"id"`
	Tag        string  `json:"tag_name"`
	Name       string  `json:"name"`
	Body       string  `json:"body"`
	Draft      bool    `json:"draft"`
	Prerelease bool    `json:"prerelease"`
	Assets     []asset `json:"assets"`
}

type server struct {
	folder  string
	fail    int // upload that fails, counted from 1; none: 0
	mu      sync.Mutex
	ids     int64
	uploads int
	all     []*release
}

func main() {
	fail := flag.Int("fail", 0, "number of the upload that fails")
	flag.Parse()
	s := &server{folder: flag.Arg(0), fail: *fail}
	mux := http.NewServeMux()
	const repository = "/api/v3/repos/{owner}/{repository}/"
	mux.HandleFunc("GET /api/v3/rate_limit", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"resources":{"core":{"limit":5000,"remaining":5000,"reset":4102444800}}}`)
	})
	mux.HandleFunc("GET "+repository+"releases", s.locked(s.list))
	mux.HandleFunc("POST "+repository+"releases", s.locked(s.create))
	mux.HandleFunc("PATCH "+repository+"releases/{id}", s.locked(s.update))
	mux.HandleFunc("GET "+repository+"releases/{id}/{what}", s.locked(s.one)) // assets of a release, or tags/TAG
	mux.HandleFunc("POST /api/uploads/repos/{owner}/{repository}/releases/{id}/assets", s.locked(s.upload))
	mux.HandleFunc("DELETE "+repository+"releases/assets/{id}", s.locked(s.remove))
	mux.HandleFunc("GET "+repository+"rules/branches/{name}", s.setting)
	mux.HandleFunc("GET "+repository+"environments/{name}", s.setting)
	mux.HandleFunc("GET "+repository+"compare/{name}", s.setting)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s/\n", listener.Addr())
	log.Fatal(http.Serve(listener, mux))
}

func (s *server) locked(answer func(http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.Header.Get("Authorization") == "" {
			http.Error(w, `{"message":"Requires authentication"}`, http.StatusUnauthorized)
			return
		}
		answer(w, r)
	}
}

// setting serves the file settings/NAME.json.
func (s *server) setting(w http.ResponseWriter, r *http.Request) {
	http.ServeFile(w, r, filepath.Join(s.folder, "settings", filepath.Base(r.PathValue("name"))+".json"))
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func refuse(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]any{"message": http.StatusText(status), "errors": []map[string]string{{"code": code}}})
}

// find returns the release with the ID in the request. If there is none, it writes an error and returns nil.
func (s *server) find(w http.ResponseWriter, r *http.Request) *release {
	for _, known := range s.all {
		if strconv.FormatInt(known.ID, 10) == r.PathValue("id") {
			return known
		}
	}
	refuse(w, http.StatusNotFound, "missing")
	return nil
}

func (s *server) published(tag string) *release {
	for _, known := range s.all {
		if known.Tag == tag && !known.Draft {
			return known
		}
	}
	return nil
}

func (s *server) list(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.all) }

// one serves the assets of a release, or the release of a tag. As on GitHub, drafts are not found by tag.
func (s *server) one(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("id") == "tags" {
		if known := s.published(r.PathValue("what")); known != nil {
			answer(w, http.StatusOK, known)
		} else {
			refuse(w, http.StatusNotFound, "missing")
		}
	} else if known := s.find(w, r); known != nil {
		answer(w, http.StatusOK, known.Assets)
	}
}

func (s *server) create(w http.ResponseWriter, r *http.Request) {
	s.ids++
	created := &release{ID: s.ids}
	if err := json.NewDecoder(r.Body).Decode(created); err != nil {
		refuse(w, http.StatusBadRequest, "invalid")
		return
	}
	s.all = append(s.all, created)
	answer(w, http.StatusCreated, created)
}

func (s *server) update(w http.ResponseWriter, r *http.Request) {
	known := s.find(w, r)
	if known == nil {
		return
	}
	was := known.Draft
	if err := json.NewDecoder(r.Body).Decode(known); err != nil {
		refuse(w, http.StatusBadRequest, "invalid")
		return
	}
	if was && !known.Draft {
		if slices.ContainsFunc(s.all, func(o *release) bool { return o != known && o.Tag == known.Tag && !o.Draft }) {
			known.Draft = true
			refuse(w, http.StatusUnprocessableEntity, "already_exists")
			return
		}
		if err := s.write(known); err != nil {
			log.Fatal(err)
		}
	}
	answer(w, http.StatusOK, known)
}

func (s *server) write(r *release) error {
	folder := filepath.Join(s.folder, r.Tag)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, a := range append(r.Assets, asset{Name: "notes", data: []byte(r.Body)}) {
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(a.Name)), a.data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) upload(w http.ResponseWriter, r *http.Request) {
	known := s.find(w, r)
	if known == nil {
		return
	}
	name := r.URL.Query().Get("name")
	if slices.ContainsFunc(known.Assets, func(a asset) bool { return a.Name == name }) {
		refuse(w, http.StatusUnprocessableEntity, "already_exists")
		return
	}
	data, err := io.ReadAll(r.Body)
	s.uploads++
	if err != nil || s.uploads == s.fail {
		refuse(w, http.StatusForbidden, "forbidden")
		return
	}
	s.ids++
	known.Assets = append(known.Assets, asset{ID: s.ids, Name: name, data: data})
	answer(w, http.StatusCreated, known.Assets[len(known.Assets)-1])
}

func (s *server) remove(w http.ResponseWriter, r *http.Request) {
	for _, known := range s.all {
		known.Assets = slices.DeleteFunc(known.Assets, func(a asset) bool { return strconv.FormatInt(a.ID, 10) == r.PathValue("id") })
	}
	w.WriteHeader(http.StatusNoContent)
}
