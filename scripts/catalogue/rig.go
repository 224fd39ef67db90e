package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// errSkip is wrapped by the reason why something cannot be tried on this machine.
var errSkip = errors.New("skipped")

// Times that bound what a rig waits for. They only keep a broken part from
// stopping the whole run.
const (
	buildTime = 10 * time.Minute
	callTime  = 2 * time.Minute
)

// settledAfter is how long a file must be left alone before the daemon takes it
// for known (scan.DefaultSettle), with a second to spare.
const settledAfter = 46 * time.Second

// shape says what kind of sandbox a rig is.
type shape struct {
	fs         string   // "" for a plain directory, else the kind of file system in an image below phone/
	opt        []string // options for its mkfs
	mapped     bool     // the image lies below the device mapper
	subvolumes bool     // each root is a subvolume (btrfs)
	mount      []string // options of the mount
	inner      bool     // what is mounted inside the roots are FAT file systems of their own
}

// rig is a sandbox with a device and a reader, and its events. It is not safe for
// concurrent use; several rigs may be used at the same time.
type rig struct {
	dir     string
	bin     string
	repo    string
	image   *medium // nil for a plain directory
	shape   shape
	inner   map[userdata.Class]*medium // those that are mounted inside the roots
	monitor *monitor
}

// up starts a sandbox in a directory that does not exist yet, unpaired, with
// empty roots. When that fails nothing stays behind.
func up(ctx context.Context, s settings, dir string, sh shape) (*rig, error) {
	repo, err := top()
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		return nil, fmt.Errorf("%w: dbus-daemon is not installed", errSkip)
	}
	r := &rig{dir: dir, bin: s.bin, repo: repo, shape: sh, inner: make(map[userdata.Class]*medium)}
	if err := os.MkdirAll(filepath.Join(dir, "phone"), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the sandbox: %w", err)
	}
	if sh.fs != "" {
		if r.image, err = newMedium(ctx, filepath.Join(dir, sh.fs+".img"), filepath.Join(dir, "phone"), sh); err != nil {
			return nil, err
		}
	}
	if err := r.sandbox(ctx, "up", dir, "--card=file"); err != nil {
		return nil, errors.Join(err, r.down())
	}
	if r.monitor, err = r.follow(ctx); err != nil {
		return nil, errors.Join(err, r.down())
	}
	return r, nil
}

// down stops all that the rig has started and unmounts its image.
func (r *rig) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	if r.monitor != nil {
		r.monitor.stop()
	}
	err := r.sandbox(ctx, "down", r.dir)
	for _, i := range r.inner {
		err = errors.Join(err, i.close())
	}
	if r.image != nil {
		err = errors.Join(err, r.image.close())
	}
	return err
}

// top is the top of the checkout, from anywhere below it.
func top() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("cannot find the checkout: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "scripts", "sandbox")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("cannot find the checkout above %s", dir)
		}
	}
}

// build makes the programs that a sandbox with the file card runs. The virtual card
// is not among them, but the sandbox looks for it where it can be built.
func build(ctx context.Context, bin string) error {
	repo, err := top()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	compile := func(packages ...string) error {
		cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-o", bin}, packages...)...)
		cmd.Dir = repo
		return loud(cmd, "cannot build the programs")
	}
	_ = compile("./scripts/virtualcard") // fails without libpcsclite
	return compile("./cmd/reprovisiond", "./cmd/scrd", "./cmd/scrctl", "./scripts/linkgate")
}

// loud runs a command; what it printed is part of the error.
func loud(cmd *exec.Cmd, what string) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", what, err, bytes.TrimSpace(out))
	}
	return nil
}

// env is what the programs find in their environment.
func (r *rig) env() []string {
	bus := "unix:path=" + r.dir + "/bus"
	if sockets, err := os.ReadFile(filepath.Join(r.dir, ".sandbox", "sockets")); err == nil {
		bus = "unix:path=" + strings.TrimSpace(string(sockets)) + "/bus"
	}
	return append(os.Environ(), "REPROVISION_BIN="+r.bin, "REPROVISION_PATIENCE=60", "REPROVISION_READER_BUS_ADDRESS=",
		"DBUS_SYSTEM_BUS_ADDRESS="+bus, "PATH="+r.bin+":"+os.Getenv("PATH"))
}

// command prepares a program with the rig's environment, bounded in time.
func (r *rig) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = r.env()
	cmd.WaitDelay = time.Second
	return cmd
}

// sandbox runs scripts/sandbox.
func (r *rig) sandbox(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return loud(r.command(ctx, filepath.Join(r.repo, "scripts", "sandbox"), args...), "sandbox "+args[0])
}

// root is the directory of a class.
func (r *rig) root(c userdata.Class) string { return filepath.Join(r.dir, "phone", string(c)) }

// pair makes the reader the device's.
func (r *rig) pair(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return loud(r.command(ctx, filepath.Join(r.repo, "testdata", "bin", "pair")), "pair")
}

// backup saves everything. That the card is too small for it is no error: the
// snapshot is safe at the reader.
func (r *rig) backup(ctx context.Context) error { return r.scrctl(ctx, nil, []int{9}, "backup") }

// settle waits until all files that were there at the time have been left alone
// for so long that the daemon takes them for known, and has it look at them.
func (r *rig) settle(ctx context.Context, written time.Time) error {
	if err := pause(ctx, time.Until(written.Add(settledAfter))); err != nil {
		return err
	}
	_, err := r.check(ctx, false)
	return err
}

// configure changes the daemon's settings and starts it again.
func (r *rig) configure(ctx context.Context, change func(toml string) string) error {
	if err := r.stop(ctx, "reprovisiond"); err != nil {
		return err
	}
	file := filepath.Join(r.dir, "reprovisiond.toml")
	raw, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(change(string(raw))), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot change the settings: %w", err)
	}
	return r.start(ctx, "reprovisiond")
}

// start starts a daemon that was stopped.
func (r *rig) start(ctx context.Context, name string) error {
	return r.sandbox(ctx, "start", r.dir, name)
}

// stop ends a daemon of the sandbox and waits until it is gone.
func (r *rig) stop(ctx context.Context, name string) error {
	raw, err := os.ReadFile(filepath.Join(r.dir, "pid", name))
	if err != nil {
		return fmt.Errorf("cannot stop %s: %w", name, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || pid <= 1 {
		return fmt.Errorf("cannot stop %s: no process number in its file", name)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("cannot stop %s: %w", name, err)
	}
	for deadline := time.Now().Add(callTime); syscall.Kill(pid, 0) == nil; {
		if time.Now().After(deadline) {
			return fmt.Errorf("cannot stop %s: it does not end", name)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
