// Package resticstore is a server for restic's REST backend, version 2, as restic's
// own documentation of it says, so that what restic sends to a remote repository
// can be counted without a server that Debian does not have. It serves one
// repository to one client on this machine, and is no place for data that
// somebody wants to keep. Only scripts/bench imports it.
package resticstore

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// kinds of file in a repository, each in a directory of its own.
func kinds() []string { return []string{"data", "keys", "locks", "snapshots", "index"} }

// New serves the repository in the directory, which it makes. Every other path is
// not found.
func New(dir string) (http.Handler, error) {
	for _, kind := range kinds() {
		if err := os.MkdirAll(filepath.Join(dir, kind), 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the repository: %w", err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the repository: %w", err)
	}
	s := store{root: root}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /{kind}/{$}", s.list)
	mux.HandleFunc("/config", s.file)
	mux.HandleFunc("/{kind}/{name}", s.file)
	return mux, nil
}

type store struct{ root *os.Root }

// list answers with the names and sizes of a kind.
func (s store) list(w http.ResponseWriter, r *http.Request) {
	type entry struct {
		Name string `json:"name"`
		Size int64  `json:"size"`
	}
	if !slices.Contains(kinds(), r.PathValue("kind")) {
		http.NotFound(w, r)
		return
	}
	all := []entry{}
	dir, err := s.root.Open(r.PathValue("kind"))
	if err == nil {
		defer dir.Close()
		var infos []os.FileInfo
		infos, err = dir.Readdir(-1)
		for _, i := range infos {
			all = append(all, entry{i.Name(), i.Size()})
		}
	}
	if fail(w, err) {
		return
	}
	w.Header().Set("Content-Type", "application/vnd.x.restic.rest.v2")
	_ = json.NewEncoder(w).Encode(all)
}

// file gives, takes or removes one file.
func (s store) file(w http.ResponseWriter, r *http.Request) {
	name := filepath.Join(r.PathValue("kind"), r.PathValue("name"))
	if name == "" {
		name = "config"
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		f, err := s.root.Open(name)
		if fail(w, err) {
			return
		}
		defer f.Close()
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, f)
	case http.MethodPost:
		fail(w, s.save(name, r.Body))
	case http.MethodDelete:
		fail(w, s.root.Remove(name))
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (s store) save(name string, from io.Reader) error {
	f, err := s.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = s.root.Remove(name) // half a file is none
	}
	return err
}

// fail answers with an error, if there is one.
func fail(w http.ResponseWriter, err error) bool {
	switch {
	case err == nil:
		return false
	case os.IsNotExist(err):
		http.Error(w, "not found", http.StatusNotFound)
	case os.IsExist(err):
		http.Error(w, "it exists", http.StatusForbidden)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
	return true
}
