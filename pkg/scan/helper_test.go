package scan_test

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// later is a clock that stands an hour ahead: every file has been left alone for
// long enough to be trusted.
func later() time.Time { return time.Now().Add(time.Hour) }

// newScanner makes a space of one root, "keys", at a new directory.
func newScanner(t testing.TB, now func() time.Time) (*scan.Scanner, string) {
	t.Helper()
	dir := t.TempDir()
	return scannerAt(t, dir, now), dir
}

func scannerAt(t testing.TB, dir string, now func() time.Time) *scan.Scanner {
	t.Helper()
	space, err := userdata.NewSpace([]userdata.Root{{Name: "keys", Class: userdata.Keys, Path: dir}})
	if err != nil {
		t.Fatal(err)
	}
	return scan.New(space, now, nil)
}

func mustScan(t testing.TB, s *scan.Scanner, cache scan.Cache, opts scan.Options) scan.Result {
	t.Helper()
	res, err := s.Scan(context.Background(), cache, opts)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func mustScanNames(t testing.TB, s *scan.Scanner, cache scan.Cache, names ...userdata.Name) scan.Result {
	t.Helper()
	res, err := s.ScanNames(context.Background(), names, cache, scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func write(t testing.TB, data string, path ...string) string {
	t.Helper()
	p := filepath.Join(path...)
	must(t, os.MkdirAll(filepath.Dir(p), 0o755))
	must(t, os.WriteFile(p, []byte(data), 0o644))
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func find(t testing.TB, res scan.Result, n userdata.Name) manifest.Item {
	t.Helper()
	it, ok := res.Manifest.Find(n)
	if !ok {
		t.Fatalf("%s is not in the manifest; problems: %v", n, res.Problems)
	}
	return it
}

func wantAbsent(t testing.TB, res scan.Result, n userdata.Name) {
	t.Helper()
	if it, ok := res.Manifest.Find(n); ok {
		t.Errorf("%s is in the manifest: %+v", n, it)
	}
}

func wantContents(t testing.TB, res scan.Result, n userdata.Name, data string) {
	t.Helper()
	it := find(t, res, n)
	if it.Type != manifest.File || it.Size != int64(len(data)) || it.Digest != sha256.Sum256([]byte(data)) {
		t.Errorf("%s is not the file with %d bytes %.20q: %+v", n, len(data), data, it)
	}
}

func noProblems(t testing.TB, res scan.Result) {
	t.Helper()
	for _, p := range res.Problems {
		t.Errorf("problem: %v", p)
	}
}

// wantProblem wants the one problem with this name.
func wantProblem(t testing.TB, res scan.Result, n userdata.Name, reason scan.Reason) scan.Problem {
	t.Helper()
	for _, p := range res.Problems {
		if p.Name == n && p.Reason == reason {
			return p
		}
	}
	t.Fatalf("no problem %q with %q: %v", reason, n, res.Problems)
	return scan.Problem{}
}
