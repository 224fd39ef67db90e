package file

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/card"
)

func TestParseMount(t *testing.T) {
	for line, want := range map[string]mount{
		"36 35 98:0 / /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue": {"98:0", "/", "/mnt2", "/dev/root"},
		`40 35 8:1 /sub /media/a\040b\134 rw - vfat /dev/sda1 rw`:                    {"8:1", "/sub", `/media/a b\`, "/dev/sda1"},
		"36 35 98:0 / /mnt2 rw": {},
		"":                      {},
		" - ":                   {},
	} {
		if got, ok := parseMount(line); got != want || ok != (want != mount{}) {
			t.Errorf("%q: %+v, %v", line, got, ok)
		}
	}
}

func FuzzParseMount(f *testing.F) {
	f.Add(`40 35 8:1 /sub /media/a\040b rw - vfat /dev/sda1 rw`)
	f.Fuzz(func(t *testing.T, line string) {
		if m, ok := parseMount(line); ok && (m.number == "" || len(m.point) > len(line)) {
			t.Fatalf("%+v", m)
		}
	})
}

// TestWithin keeps the image's path inside its file system.
func TestWithin(t *testing.T) {
	top := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(top, "dir"), 0o700), os.Symlink("/tmp", filepath.Join(top, "out")),
		os.Symlink("dir", filepath.Join(top, "in")), os.WriteFile(filepath.Join(top, "file"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, fine := range map[string]bool{
		"card.img": true, "dir/card.img": true, "none/card.img": false, "out/card.img": false, "in/card.img": false, "file/card.img": false, "../card.img": false,
	} {
		if got, err := within(top, path); (err == nil) != fine || fine && got != filepath.Join(top, path) {
			t.Errorf("%s: %s, %v", path, got, err)
		}
	}
}

// TestNoMedium says that there is no card while there is no medium.
func TestNoMedium(t *testing.T) {
	r := New(Config{Path: "card.img", UUID: "1234-ABCD", Links: t.TempDir()})
	err := r.WithCard(t.Context(), func(context.Context, card.Medium) error { return nil })
	if !errors.Is(err, card.ErrNoCard) {
		t.Fatalf("got %v", err)
	}
	if e := r.look(); e.Kind != card.EventRemoved || e.Reader != "1234-ABCD:card.img" {
		t.Fatalf("got %+v", e)
	}
}

// stick is a file system on a loop device that stands for a USB stick.
type stick struct {
	*testing.T
	config  Config
	device  string
	point   string
	mounted bool
}

func (s *stick) run(name string, args ...string) string {
	s.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		s.Skipf("cannot make a loop device here: %s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// newStick makes a file system, and the link to it that udev would make.
func newStick(t *testing.T, kind string) *stick {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs." + kind)
	if os.Geteuid() != 0 || err != nil {
		t.Skipf("needs root and mkfs.%s", kind)
	}
	dir := t.TempDir()
	s := &stick{T: t, point: filepath.Join(dir, "a mount point")}
	image := filepath.Join(dir, "stick")
	if err := errors.Join(os.Mkdir(s.point, 0o700), os.WriteFile(image, nil, 0o600), os.Truncate(image, 8<<20)); err != nil {
		t.Fatal(err)
	}
	s.run(mkfs, image)
	s.device = s.run("losetup", "--find", "--show", image)
	t.Cleanup(func() {
		s.umount()
		_ = exec.Command("losetup", "--detach", s.device).Run()
	})
	s.config = Config{Path: "card.img", UUID: "0000-" + strings.ToUpper(kind), Links: dir, Capacity: 64 << 10, Poll: 20 * time.Millisecond}
	s.link()
	return s
}

func (s *stick) link() {
	s.Helper()
	if err := os.Symlink(s.device, filepath.Join(s.config.Links, s.config.UUID)); err != nil {
		s.Fatal(err)
	}
}

func (s *stick) mount() {
	s.Helper()
	s.run("mount", s.device, s.point)
	s.mounted = true
}

func (s *stick) umount() {
	if s.mounted {
		s.mounted = false
		if err := unix.Unmount(s.point, 0); err != nil {
			s.Error(err)
		}
	}
}

// TestStick keeps a card on removable media: gone and back as a card would be,
// whether the medium is unmounted or pulled.
func TestStick(t *testing.T) {
	for _, kind := range []string{"ext4", "vfat"} {
		t.Run(kind, func(t *testing.T) { testStick(t, newStick(t, kind)) })
	}
}

func testStick(t *testing.T, s *stick) {
	events := make(chan card.Event, 100)
	s.config.Notify = func(e card.Event) { events <- e }
	r := New(s.config)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	use := func(fn func(context.Context, card.Medium) error) error { return r.WithCard(t.Context(), fn) }
	next := func(kind card.EventKind) {
		t.Helper()
		select {
		case e := <-events:
			if e.Kind != kind {
				t.Fatalf("got %+v, want %s", e, kind)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no event %s", kind)
		}
	}
	next(card.EventRemoved) // there, and not mounted
	s.mount()
	format := func(ctx context.Context, m card.Medium) error { return m.Format(ctx, 0) }
	commit := func(ctx context.Context, m card.Medium) error {
		return card.NewStore(m).Commit(ctx, 1, []byte("on a stick"))
	}
	if err := errors.Join(use(format), use(commit)); err != nil {
		t.Fatal(err)
	}
	next(card.EventInserted)
	s.umount()
	next(card.EventRemoved)
	if err := use(commit); !errors.Is(err, card.ErrNoCard) {
		t.Fatalf("got %v", err)
	}
	if err := os.Remove(filepath.Join(s.config.Links, s.config.UUID)); err != nil { // pulled
		t.Fatal(err)
	}
	s.mount() // where it would be if it were still there
	if err := use(commit); !errors.Is(err, card.ErrNoCard) {
		t.Fatalf("got %v", err)
	}
	s.link()
	next(card.EventInserted)
	err := use(func(ctx context.Context, m card.Medium) error {
		object, err := card.NewStore(m).Load(ctx)
		if err == nil && string(object.Data) != "on a stick" {
			t.Errorf("loaded %q", object.Data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
