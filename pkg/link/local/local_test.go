package local_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/link/linktest"
	"github.com/reprovision/reprovision/pkg/link/local"
)

func address() link.Address { return link.Address{0x02, 0, 0, 0, 0, 1} }

// socketPath lies in a short directory: a sockaddr_un holds 107 bytes.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "link")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "reader.sock")
}

func listen(t *testing.T, path string) *local.Listener {
	t.Helper()
	l, err := local.Listen(local.Config{Path: path, Address: address(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	return l
}

func TestConformance(t *testing.T) {
	linktest.Run(t, func(t *testing.T) linktest.Pair {
		path := socketPath(t)
		return linktest.Pair{
			Dialer:   local.Dialer{Path: path},
			Listener: listen(t, path),
			Absent:   link.Address{0x02, 0, 0, 0, 0, 2},
		}
	})
}

func TestModes(t *testing.T) {
	path := filepath.Join(filepath.Dir(socketPath(t)), "sub", "reader.sock")
	listen(t, path)
	for name, want := range map[string]fs.FileMode{path: 0o600, path + ".lock": 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %#o; want %#o", name, got, want)
		}
	}
}

func TestListenRefuses(t *testing.T) {
	path := socketPath(t)
	open := filepath.Join(filepath.Dir(path), "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	file := path + ".file"
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		path    string
		address link.Address
		says    string
	}{
		"no address":          {path, link.Address{}, "not an address"},
		"long path":           {path + strings.Repeat("x", 107), address(), "longer than 107"},
		"writable directory":  {filepath.Join(open, "s"), address(), "others may write"},
		"a file in the way":   {file, address(), "is no socket"},
		"missing parent file": {file + "/reader.sock", address(), "not a directory"},
	}
	for name, tt := range tests {
		_, err := local.Listen(local.Config{Path: tt.path, Address: tt.address, Logger: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v; want %q", name, err, tt.says)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file in the way became %q, %v", b, err)
	}
}

func TestLiveSocketIsNotTaken(t *testing.T) {
	path := socketPath(t)
	l := listen(t, path)
	cfg := local.Config{Path: path, Address: address(), Logger: slog.New(slog.DiscardHandler)}
	if _, err := local.Listen(cfg); !errors.Is(err, local.ErrInUse) {
		t.Fatalf("second Listen: %v; want ErrInUse", err)
	}
	dial(t, path)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := local.Listen(cfg)
	if err != nil {
		t.Fatalf("Listen after Close: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// TestStaleSocketIsReplaced leaves behind what a killed process leaves.
func TestStaleSocketIsReplaced(t *testing.T) {
	path := socketPath(t)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := (local.Dialer{Path: path}).Dial(context.Background(), address()); !errors.Is(err, link.ErrUnreachable) {
		t.Errorf("Dial to a stale socket: %v; want ErrUnreachable", err)
	}
	listen(t, path)
	dial(t, path)
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := local.Dialer{Path: path}.Dial(ctx, address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestSlowAndGarbagePeers has silent peers fill the preamble while another gets
// through, and sees garbage dropped without an answer.
func TestSlowAndGarbagePeers(t *testing.T) {
	path := socketPath(t)
	l := listen(t, path)
	for range 32 {
		raw(t, path)
	}
	garbage := raw(t, path)
	if _, err := garbage.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(garbage); len(b) != 0 {
		t.Errorf("garbage was answered with %q", b)
	}
	dial(t, path)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := l.Accept(ctx); err != nil {
		t.Error(err)
	}
}

func TestSilentPeerIsDropped(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	listen(t, path)
	silent := raw(t, path)
	if b, err := io.ReadAll(silent); err != nil || len(b) != 0 {
		t.Errorf("the silent peer read %q, %v; want EOF", b, err)
	}
}

// TestSilentListener is a socket that somebody else listens on and says nothing.
func TestSilentListener(t *testing.T) {
	path := socketPath(t)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := (local.Dialer{Path: path}).Dial(ctx, address()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial = %v; want context.DeadlineExceeded", err)
	}
}

func TestTooManyPending(t *testing.T) {
	path := socketPath(t)
	listen(t, path)
	for range 64 {
		raw(t, path)
	}
	var err error
	for end := time.Now().Add(20 * time.Second); err == nil && time.Now().Before(end); {
		_, err = local.Dialer{Path: path}.Dial(context.Background(), address())
	}
	if !errors.Is(err, link.ErrUnreachable) {
		t.Errorf("Dial to a full reader: %v; want ErrUnreachable", err)
	}
}

func raw(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestKilledListener kills a process that listens: its lock is gone with it.
func TestKilledListener(t *testing.T) {
	path := os.Getenv("LINK_TEST_LISTEN")
	if path != "" {
		listen(t, path)
		os.Stdout.WriteString("listening\n")
		select {}
	}
	path = socketPath(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledListener$")
	cmd.Env = append(os.Environ(), "LINK_TEST_LISTEN="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := out.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cfg := local.Config{Path: path, Address: address(), Logger: slog.New(slog.DiscardHandler)}
	if _, err := local.Listen(cfg); !errors.Is(err, local.ErrInUse) {
		t.Fatalf("Listen beside a live process: %v; want ErrInUse", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	listen(t, path)
	dial(t, path)
}
