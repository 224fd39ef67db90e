package pcsctest_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card/pcsctest"
)

// start skips the test where pcscd is not installed.
func start(t *testing.T) *pcsctest.Daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "pcsc") // short, for the socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d, err := pcsctest.Start(t.Context(), filepath.Join(dir, "s"), dir)
	if errors.Is(err, pcsctest.ErrNotInstalled) && os.Getenv(pcsctest.RequireEnv) != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
	return d
}

func ended(d *pcsctest.Daemon) bool {
	select {
	case <-d.Done():
		return true
	default:
		return false
	}
}

func TestTwoDaemonsSideBySide(t *testing.T) {
	a, b := start(t), start(t)
	if a.Address(0) == b.Address(0) || a.Address(1) == b.Address(0) {
		t.Fatalf("both daemons use %s", b.Address(0))
	}
	a.Stop()
	if !ended(a) || ended(b) {
		t.Fatal("stopping one daemon must end it and leave the other")
	}
}

func TestRestart(t *testing.T) {
	d := start(t)
	d.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := d.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if ended(d) {
		t.Fatal("pcscd is not running after Restart")
	}
}

func TestLongSocketPath(t *testing.T) {
	_, err := pcsctest.Start(t.Context(), "/tmp/"+strings.Repeat("x", 120), t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "path of socket") {
		t.Fatalf("got %v", err)
	}
}
