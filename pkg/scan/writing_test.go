package scan_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/scan"
)

func TestWriting(t *testing.T) {
	s, dir := newScanner(t, time.Now)
	path := filepath.Join(dir, "a")
	must(t, os.WriteFile(path, []byte("contents"), 0o600))
	res := mustScan(t, s, scan.Cache{}, scan.Options{})
	seen, _ := res.Observed("keys/a")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err != nil && err != unix.EAGAIN {
		t.Skip("no leases here:", err)
	}
	if !s.Writing("keys/a", seen) {
		t.Error("a file that is open for writing is not noticed")
	}
	must(t, f.Close())
	if s.Writing("keys/a", seen) {
		t.Error("a closed file is taken for open")
	}
	other := seen
	if other.Ino++; s.Writing("keys/a", other) {
		t.Error("a file that has another inode, and the same times, is taken for written")
	}
	if other.CTime++; !s.Writing("keys/a", other) {
		t.Error("a file with another change time is not noticed")
	}
	reader, err := os.Open(path)
	must(t, err)
	defer reader.Close()
	if s.Writing("keys/a", seen) || s.Writing("keys/none", seen) {
		t.Error("a file that is only read, or not there, is taken for open")
	}
	must(t, os.WriteFile(path, []byte("other contents"), 0o600))
	if !s.Writing("keys/a", seen) {
		t.Error("a file that was written since is not noticed")
	}
}
