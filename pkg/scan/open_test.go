package scan_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

func TestOpen(t *testing.T) {
	s, dir := newScanner(t, later)
	outside := t.TempDir()
	write(t, "secret", outside, "f")
	write(t, "top", dir, "f")
	write(t, "deep", dir, "a", "b", "f")
	must(t, os.Symlink(outside, filepath.Join(dir, "out")))
	must(t, os.Symlink("a", filepath.Join(dir, "in")))
	must(t, os.Symlink("f", filepath.Join(dir, "link")))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	for n, want := range map[userdata.Name]any{
		"keys/f":       "top",
		"keys/a/b/f":   "deep",
		"keys/out/f":   scan.ErrSymlinkInWay,
		"keys/in/b/f":  scan.ErrSymlinkInWay,
		"keys/link":    scan.ErrSymlinkInWay,
		"keys/a":       scan.ErrNotFile,
		"keys":         scan.ErrNotFile,
		"keys/fifo":    scan.ErrNotFile,
		"keys/gone":    fs.ErrNotExist,
		"keys/gone/f":  fs.ErrNotExist,
		"keys/f/below": unix.ENOTDIR,
		"other/f":      scan.ErrNoRoot,
		"keys/../f":    userdata.ErrBadName,
		"":             userdata.ErrBadName,
	} {
		f, err := s.Open(n)
		if wantErr, ok := want.(error); ok {
			if !errors.Is(err, wantErr) {
				t.Errorf("%q: %v, want %v", n, err, wantErr)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", n, err)
			continue
		}
		data, err := io.ReadAll(f)
		if string(data) != want || err != nil {
			t.Errorf("%q: %q, %v", n, data, err)
		}
		must(t, f.Close())
	}
}

func TestOpenInAMissingRoot(t *testing.T) {
	s := scannerAt(t, filepath.Join(t.TempDir(), "gone"), later)
	if _, err := s.Open("keys/f"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestNoDescriptorLeaks counts what is open before and after.
func TestNoDescriptorLeaks(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, "x", dir, "a", "b", "f")
	must(t, os.Symlink("a", filepath.Join(dir, "in")))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(fds)
	}
	before := count()
	for range 20 {
		mustScan(t, s, scan.Cache{}, scan.Options{})
		mustScanNames(t, s, scan.Cache{}, "keys/a/b/f", "keys/a/c/f", "keys/in/b/f", "keys/a")
		for _, n := range []userdata.Name{"keys/a/b/f", "keys/in/b/f", "keys/fifo", "keys/a"} {
			if f, err := s.Open(n); err == nil {
				must(t, f.Close())
			}
		}
	}
	if after := count(); after > before+2 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func BenchmarkScan(b *testing.B) {
	s, dir := newScanner(b, later)
	for i := range 10_000 {
		write(b, "some contents of a small file", dir, string(rune('a'+i%26)), string(rune('a'+i%25)), filepath.Base(b.Name())+string(rune(0x4e00+i)))
	}
	whole := mustScan(b, s, scan.Cache{}, scan.Options{})
	for name, opts := range map[string]scan.Options{"quick": {}, "deep": {Deep: true}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Scan(context.Background(), whole.Cache, opts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
