package scan_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/reprovision/reprovision/pkg/scan"
	"golang.org/x/sys/unix"
)

// setXattr sets an attribute or skips the test where that is not possible.
func setXattr(t *testing.T, path, name string, value []byte) {
	t.Helper()
	if err := unix.Setxattr(path, name, value, 0); err != nil {
		t.Skipf("cannot set %s: %v", name, err)
	}
}

// acl is a POSIX ACL as the kernel has it: version 2, then tag, permission and
// id of each entry. It gives one user more than the owning group.
func acl() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range [][3]uint32{{1, 6, 0xffffffff}, {2, 4, 1234}, {4, 0, 0xffffffff}, {0x10, 4, 0xffffffff}, {0x20, 0, 0xffffffff}} {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return b
}

func TestXattrs(t *testing.T) {
	s, dir := newScanner(t, later)
	f := write(t, "x", dir, "f")
	write(t, "x", dir, "none")
	setXattr(t, f, "user.comment", []byte("a\x00b"))
	setXattr(t, f, "user.empty", nil)
	setXattr(t, dir, "user.dir", []byte("on the root"))
	first := mustScan(t, s, scan.Cache{}, scan.Options{})
	for _, res := range []scan.Result{first, mustScan(t, s, first.Cache, scan.Options{})} {
		noProblems(t, res)
		got := find(t, res, "keys/f").Xattrs
		if _, ok := got["user.empty"]; !ok || len(got) != 2 || string(got["user.comment"]) != "a\x00b" {
			t.Errorf("%q", got)
		}
		if got := find(t, res, "keys").Xattrs; string(got["user.dir"]) != "on the root" {
			t.Errorf("%q", got)
		}
		if got := find(t, res, "keys/none").Xattrs; got != nil {
			t.Errorf("%q", got)
		}
	}
}

func TestACLs(t *testing.T) {
	s, dir := newScanner(t, later)
	f := write(t, "x", dir, "f")
	sub := filepath.Join(dir, "sub")
	must(t, os.Mkdir(sub, 0o700))
	setXattr(t, f, "system.posix_acl_access", acl())
	setXattr(t, sub, "system.posix_acl_default", acl())
	res := mustScan(t, s, scan.Cache{}, scan.Options{})
	if got := find(t, res, "keys/f").Xattrs["system.posix_acl_access"]; !bytes.Equal(got, acl()) {
		t.Errorf("%x", got)
	}
	if got := find(t, res, "keys/sub").Xattrs["system.posix_acl_default"]; !bytes.Equal(got, acl()) {
		t.Errorf("%x", got)
	}
}

func TestXattrsOfTheMachineAreLeftOut(t *testing.T) {
	s, dir := newScanner(t, later)
	setXattr(t, write(t, "x", dir, "f"), "trusted.x", []byte("y"))
	if got := find(t, mustScan(t, s, scan.Cache{}, scan.Options{}), "keys/f").Xattrs; got != nil {
		t.Errorf("%q", got)
	}
}

func TestTooManyXattrs(t *testing.T) {
	s, dir := newScanner(t, later)
	f := write(t, "x", dir, "f")
	for i := range 65 {
		setXattr(t, f, fmt.Sprintf("user.%02d", i), []byte("v"))
	}
	for i := range 65 {
		setXattr(t, dir, fmt.Sprintf("user.%02d", i), []byte("v"))
	}
	first := mustScan(t, s, scan.Cache{}, scan.Options{})
	for _, res := range []scan.Result{first, mustScan(t, s, first.Cache, scan.Options{})} {
		wantProblem(t, res, "keys/f", scan.Attributes)
		wantProblem(t, res, "keys", scan.Attributes)
		if len(res.Problems) != 2 {
			t.Errorf("%v", res.Problems)
		}
		got := find(t, res, "keys/f").Xattrs
		if _, last := got["user.63"]; len(got) != 64 || !last {
			t.Errorf("%d attributes: %q", len(got), got)
		}
	}
}
