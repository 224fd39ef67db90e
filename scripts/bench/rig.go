package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// callTime bounds what one call of a program may take.
const callTime = 10 * time.Minute

// rig is a sandbox with a device and a reader.
type rig struct {
	dir, bin, repo string
	own            bool // its files are on a file system that nobody else uses
}

// up starts a sandbox and pairs it, with the shipped settling time. When that
// fails nothing keeps running.
func up(ctx context.Context, s settings) (*rig, error) {
	r, err := newRig(ctx, s, "sandbox")
	if err != nil {
		return nil, err
	}
	return r, r.open(ctx)
}

// newRig finds the programs, or builds them.
func newRig(ctx context.Context, s settings, name string) (*rig, error) {
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		return nil, fmt.Errorf("%w: dbus-daemon is not installed", errSkip)
	}
	repo, err := checkout(ctx)
	if err != nil {
		return nil, err
	}
	r := &rig{dir: filepath.Join(s.dir, name), bin: s.bin, repo: repo}
	if r.bin == "" {
		r.bin = filepath.Join(r.repo, "bin")
		if err := r.run(ctx, "scripts/build", "--sandbox"); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// checkout is where the module lies.
func checkout(ctx context.Context) (string, error) {
	raw, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the checkout: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// open starts the sandbox and pairs it; it takes further options of scripts/sandbox up.
func (r *rig) open(ctx context.Context, options ...string) error {
	if err := r.separate(); err != nil {
		return err
	}
	err := r.run(ctx, "scripts/sandbox", append([]string{"up", r.dir, "--card=file"}, options...)...)
	if err == nil {
		err = r.asShipped(ctx)
	}
	if err == nil {
		err = r.pair(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot start a sandbox: %w", err), r.down())
	}
	return nil
}

func (r *rig) pair(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return r.inside(ctx, filepath.Join(r.repo, "testdata", "bin", "pair")).Run()
}

// down stops the sandbox, also after the context has ended.
func (r *rig) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	err := r.run(ctx, "scripts/sandbox", "down", r.dir)
	if r.own {
		err = errors.Join(err, unix.Unmount(filepath.Join(r.dir, "phone"), 0))
	}
	return err
}

// separate gives the user data a file system of its own where that is permitted:
// fanotify tells of the whole file system, and what other programs write there is
// no part of what is measured.
func (r *rig) separate() error {
	phone := filepath.Join(r.dir, "phone")
	if err := os.MkdirAll(phone, 0o700); err != nil {
		return fmt.Errorf("cannot make the sandbox: %w", err)
	}
	r.own = unix.Mount("tmpfs", phone, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700") == nil
	return nil
}

// run runs a script of the checkout.
func (r *rig) run(ctx context.Context, script string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(r.repo, script), args...)
	cmd.Env = append(os.Environ(), "REPROVISION_BIN="+r.bin)
	cmd.WaitDelay = time.Second // what it leaves running may hold the pipe
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", script, err, bytes.TrimSpace(out))
	}
	return nil
}

// inside prepares a program with the sandbox's environment.
func (r *rig) inside(ctx context.Context, args ...string) *exec.Cmd {
	line := append([]string{"-c", `. "$0/env" && exec "$@"`, r.dir}, args...)
	cmd := exec.CommandContext(ctx, "sh", line...)
	cmd.WaitDelay = time.Second
	return cmd
}

// scrctl runs a command; the exit codes in fine are as good as 0.
func (r *rig) scrctl(ctx context.Context, fine int, args ...string) error {
	_, err := r.answer(ctx, fine, args...)
	return err
}

// answer runs a command and returns what it printed, for programs to read.
func (r *rig) answer(ctx context.Context, fine int, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	cmd := r.inside(ctx, append([]string{"scrctl", "--json", "--no-input"}, args...)...)
	var notes bytes.Buffer
	cmd.Stderr = &notes
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == fine {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("scrctl %s: %w: %s", args[0], err, bytes.TrimSpace(append(out, notes.Bytes()...)))
	}
	return out, nil
}

// asShipped gives the device's daemon shipped settings in place of the sandbox's: the
// settling time, which is short there, and that it asks before it fills an empty device.
func (r *rig) asShipped(ctx context.Context) error {
	pid, err := r.pid("reprovisiond")
	if err != nil {
		return err
	}
	file := filepath.Join(r.dir, "reprovisiond.toml")
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read the settings: %w", err)
	}
	raw = regexp.MustCompile(`(?m)^settle = .*$`).ReplaceAll(raw, []byte(`settle = "500ms"`))
	raw = regexp.MustCompile(`(?m)^replacement = .*$`).ReplaceAll(raw, []byte(`replacement = "ask"`))
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return fmt.Errorf("cannot change the settings: %w", err)
	}
	if err := end(ctx, pid); err != nil {
		return err
	}
	return r.run(ctx, "scripts/sandbox", "start", r.dir, "reprovisiond")
}

// pid is the process of a daemon.
func (r *rig) pid(name string) (int, error) {
	raw, err := os.ReadFile(filepath.Join(r.dir, "pid", name))
	if err != nil {
		return 0, fmt.Errorf("cannot find %s: %w", name, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("cannot find %s: no process number in its file", name)
	}
	return pid, nil
}

// event is what is looked at in a line of scrctl monitor.
type event struct {
	Event, Path string
	Restored    int
	at          time.Time // when it came
}

// follow starts to listen to the device's daemon, and returns once no event can
// be missed. The channel is closed when monitor ends, by stop at the latest.
func (r *rig) follow(ctx context.Context) (events <-chan event, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := r.inside(ctx, "scrctl", "--json", "monitor")
	out, err := cmd.StdoutPipe()
	var notes io.ReadCloser
	if err == nil {
		notes, err = cmd.StderrPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("cannot follow the events: %w", err)
	}
	for lines := bufio.NewScanner(notes); lines.Scan(); {
		if strings.Contains(lines.Text(), "following the device's daemon") {
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, notes) }()
	heard := make(chan event, 1024)
	go listen(out, heard)
	return heard, func() { cancel(); _ = cmd.Wait() }, nil
}

func listen(out io.Reader, heard chan<- event) {
	defer close(heard)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		e := event{at: time.Now()}
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			heard <- e
		}
	}
}
