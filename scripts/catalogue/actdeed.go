package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// scriptTime bounds one script.
const scriptTime = 4 * time.Minute

// deed is one act in one class.
type deed struct {
	act   act
	class string
	rig   *rig
	dir   string // of its files
	other string // in another class, which the act may make
	temp  string // outside the space

	skipped   error    // why it was not done
	failed    error    // why it could not be done
	after     portrait // right after the act
	undone    []string // what was not left as the act had left it
	told      []finding
	suspected bool    // the owner was told that it may be harm
	found     finding // of the check that followed, for one of its files
}

// deedsOf makes the deeds of an act in a rig, each with its files.
func deedsOf(r *rig, number int, a act) ([]*deed, error) {
	classes := a.classes
	if classes == nil {
		classes = allClasses()
	}
	var all []*deed
	for _, class := range classes {
		name := fmt.Sprintf("%03d", number)
		other := data
		if class == data {
			other = prefs
		}
		d := &deed{
			act: a, class: class, rig: r, dir: filepath.Join(r.dir, "phone", class, name),
			other: filepath.Join(r.dir, "phone", other, name+"-of-"+class), temp: filepath.Join(r.dir, "temp", class+name),
		}
		if err := errors.Join(os.MkdirAll(d.dir, 0o755), os.MkdirAll(d.temp, 0o700), seed(a, class, d.dir)); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// String names the deed.
func (d *deed) String() string { return d.act.name + " (" + d.class + ")" }

// has tells whether a path is the deed's own.
func (d *deed) has(path string) bool {
	for _, dir := range []string{d.dir, d.other} {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}

// prepare runs what has to be done before the backup.
func (d *deed) prepare(ctx context.Context) {
	if d.act.prepare != "" {
		d.settle("prepare", d.script(ctx, "prepare", d.act.prepare))
	}
}

// do does the act, and notes what it left.
func (d *deed) do(ctx context.Context) {
	if d.idle() {
		return
	}
	var err error
	if d.act.do != "" {
		err = d.script(ctx, "do", d.act.do)
	}
	if err == nil && d.act.apply != nil {
		err = d.act.apply(d.dir)
	}
	d.settle("do", err)
	if d.idle() {
		return
	}
	if d.after, err = portray(d.dir, d.other); err != nil {
		d.failed = err
	}
}

// idle tells whether there is nothing to do or to see any more.
func (d *deed) idle() bool { return d.skipped != nil || d.failed != nil }

func (d *deed) settle(_ string, err error) {
	if errors.Is(err, errSkip) {
		d.skipped = err
	} else if err != nil {
		d.failed = err
	}
}

// compare notes what is no longer as the act left it.
func (d *deed) compare(ctx context.Context) {
	if d.idle() {
		return
	}
	now, err := portray(d.dir, d.other)
	if err != nil {
		d.failed = err
		return
	}
	d.undone = now.differences(d.after, d.dir)
	if err := d.script(ctx, "left", d.expectation()); err != nil {
		d.undone = append(d.undone, err.Error())
	}
}

// expectation is a script that fails when the act's outcome is not there.
func (d *deed) expectation() string {
	var b strings.Builder
	for _, word := range d.act.goes {
		fmt.Fprintf(&b, "for f in \"%s\"; do [ ! -e \"$f\" ] && [ ! -L \"$f\" ] || { echo \"$f is there\" >&2; exit 1; }; done\n", word)
	}
	for _, word := range d.act.comes {
		fmt.Fprintf(&b, "[ -e \"%s\" ] || { echo \"%s is not there\" >&2; exit 1; }\n", word, word)
	}
	return b.String()
}

// script runs one of the deed's scripts. What it prints goes to a file, so that
// nothing that it leaves running keeps anybody waiting.
func (d *deed) script(ctx context.Context, what, body string) error {
	ctx, cancel := context.WithTimeout(ctx, scriptTime)
	defer cancel()
	out, err := os.Create(d.temp + "." + what)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := d.rig.command(ctx, "bash", "-eu", "-c", actPrelude+body)
	cmd.Dir = d.dir
	cmd.Env = append(cmd.Env, "F="+textOf(d.class), "B="+otherOf(d.class), "T="+d.temp, "X="+d.other, "CLASS="+d.class,
		"LC_ALL=C.UTF-8", "PATH="+d.rig.bin+":"+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Run()
	var exit *exec.ExitError
	if err == nil {
		return nil
	}
	said := lastLine(out.Name())
	if errors.As(err, &exit) && exit.ExitCode() == actSkip {
		return fmt.Errorf("%w: %s", errSkip, said)
	}
	return fmt.Errorf("%s: %w: %s", what, err, said)
}

// lastLine is the last line of a file that is not empty.
func lastLine(file string) string {
	raw, _ := os.ReadFile(file)
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// inParallel does something to each deed, some at a time.
func inParallel(deeds []*deed, at int, do func(*deed)) {
	var workers sync.WaitGroup
	queue := make(chan *deed)
	for range at {
		workers.Go(func() {
			for d := range queue {
				do(d)
			}
		})
	}
	for _, d := range deeds {
		queue <- d
	}
	close(queue)
	workers.Wait()
}
