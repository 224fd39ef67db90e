package scan_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWriting(t *testing.T) {
	s, dir := newScanner(t, time.Now)
	path := filepath.Join(dir, "a")
	must(t, os.WriteFile(path, []byte("contents"), 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err != nil && err != unix.EAGAIN {
		t.Skip("no leases here:", err)
	}
	if !s.Writing("keys/a") {
		t.Error("a file that is open for writing is not noticed")
	}
	must(t, f.Close())
	if s.Writing("keys/a") {
		t.Error("a closed file is taken for open")
	}
	reader, err := os.Open(path)
	must(t, err)
	defer reader.Close()
	if s.Writing("keys/a") || s.Writing("keys/none") {
		t.Error("a file that is only read, or not there, is taken for open")
	}
}
