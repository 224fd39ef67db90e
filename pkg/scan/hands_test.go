package scan_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/reprovision/reprovision/pkg/scan"
	"golang.org/x/sys/unix"
)

// TestManyHandsSeeTheSame compares scans with several hands with one of a single
// hand: items, cache, problems, symlinks that lead nowhere, and what was read.
func TestManyHandsSeeTheSame(t *testing.T) {
	s, dir := newScanner(t, later)
	for i := range 300 {
		write(t, fmt.Sprint("contents of ", i), dir, fmt.Sprintf("d%d/sub", i%7), fmt.Sprint("f", i))
		must(t, os.Symlink("nowhere", filepath.Join(dir, fmt.Sprintf("d%d", i%7), fmt.Sprint("l", i))))
	}
	for i := range 40 {
		must(t, unix.Mkfifo(filepath.Join(dir, fmt.Sprint("pipe", i)), 0o600))
	}
	write(t, "half restored", dir, "d0", ".reprovision-tmp")
	one := mustScan(t, s, scan.Cache{}, scan.Options{})
	for _, hands := range []int{2, 5, 1000} {
		for _, cache := range []scan.Cache{{}, one.Cache} {
			many := mustScan(t, s, cache, scan.Options{Hands: hands, Deep: true})
			wantSameResult(t, many, one)
		}
		if many := mustScan(t, s, one.Cache, scan.Options{Hands: hands}); many.FilesRead != 0 {
			t.Errorf("a quick scan with %d hands read %d files", hands, many.FilesRead)
		}
	}
}

func wantSameResult(t *testing.T, got, want scan.Result) {
	t.Helper()
	if !reflect.DeepEqual(got.Manifest, want.Manifest) || !reflect.DeepEqual(got.Cache, want.Cache) {
		t.Error("the items or the cache differ")
	}
	if !reflect.DeepEqual(got.Dangling, want.Dangling) || got.FilesRead != want.FilesRead || got.BytesRead != want.BytesRead {
		t.Errorf("%d symlinks, %d files, %d bytes; want %d, %d, %d", len(got.Dangling), got.FilesRead, got.BytesRead,
			len(want.Dangling), want.FilesRead, want.BytesRead)
	}
	if len(got.Problems) != len(want.Problems) || len(got.Problems) == 0 {
		t.Fatalf("%d problems, want %d", len(got.Problems), len(want.Problems))
	}
	reasons := make(map[string]scan.Reason)
	for _, p := range want.Problems {
		reasons[string(p.Name)] = p.Reason
	}
	for i, p := range got.Problems {
		if reasons[string(p.Name)] != p.Reason || i > 0 && got.Problems[i-1].Name >= p.Name {
			t.Errorf("problem %v, not expected or out of order", p)
		}
	}
}

func TestManyHandsStopWithTheContext(t *testing.T) {
	s, dir := newScanner(t, later)
	for i := range 50 {
		write(t, "data", dir, fmt.Sprint("f", i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Scan(ctx, scan.Cache{}, scan.Options{Hands: 4}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
