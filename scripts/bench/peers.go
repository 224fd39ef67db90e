package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/reprovision/reprovision/scripts/bench/meter"
	"github.com/reprovision/reprovision/scripts/bench/resticstore"
)

// peer is another program that can save a directory at a far end and bring it back.
// It is made for one directory and one far end.
type peer interface {
	// save sends what has changed.
	save(ctx context.Context) (spentOn, error)
	// restore brings all back into an empty directory, with nothing cached.
	restore(ctx context.Context, to string, link meter.Shape) (spentOn, error)
	close() error
}

// peerNames in the order of the columns.
func peerNames() []string { return []string{"restic", "borg", "rsync"} }

// newPeer prepares a far end for the directory. The error wraps errSkip where the program is
// not installed.
func newPeer(ctx context.Context, name, dir, from string) (peer, error) {
	if _, err := exec.LookPath(name); err != nil {
		return nil, fmt.Errorf("%w: %s is not installed", errSkip, name)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot prepare %s: %w", name, err)
	}
	if name == "restic" {
		return newRestic(ctx, dir, from)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	p := piped{dir: dir, from: from, shell: self + " pipe"}
	if name == "rsync" {
		return rsync{p}, nil
	}
	b := borg{p}
	_, err = b.borg(ctx, meter.Shape{}, from, "base", "init", "--encryption=repokey-blake2", b.repo())
	return b, err
}

// restic reaches its repository over HTTP, through a meter.
type restic struct {
	dir, from, url string
	meter          *meter.Meter
	stop           context.CancelFunc
	done           chan error
	server         *http.Server
}

func newRestic(ctx context.Context, dir, from string) (*restic, error) {
	store, err := resticstore.New(filepath.Join(dir, "repository"))
	if err != nil {
		return nil, err
	}
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot serve restic: %w", err)
	}
	near, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot serve restic: %w", err), far.Close())
	}
	within, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &restic{
		dir: dir, from: from, url: "rest:http://" + near.Addr().String() + "/", meter: meter.New(),
		stop: stop, done: make(chan error, 1), server: &http.Server{Handler: store, ReadHeaderTimeout: callTime},
	}
	go func() { _ = r.server.Serve(far) }()
	go func() { r.done <- r.meter.Serve(within, near, "tcp", far.Addr().String()) }()
	if _, err := r.restic(ctx, "cache", "init"); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *restic) restic(ctx context.Context, cache string, args ...string) (spentOn, error) {
	cmd := exec.CommandContext(ctx, "restic", append([]string{"--quiet", "--cache-dir", filepath.Join(r.dir, cache)}, args...)...)
	cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+r.url, "RESTIC_PASSWORD=benchmark")
	r.meter.Take()
	took, err := timed(cmd)
	return spentOn{count: r.meter.Take(), took: took}, err
}

func (r *restic) save(ctx context.Context) (spentOn, error) {
	return r.restic(ctx, "cache", "backup", "--host=phone", r.from)
}

func (r *restic) restore(ctx context.Context, to string, link meter.Shape) (spentOn, error) {
	r.meter.SetShape(link)
	defer r.meter.SetShape(meter.Shape{})
	cache := "cache-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	return r.restic(ctx, cache, "restore", "latest", "--target", to)
}

func (r *restic) close() error {
	r.stop()
	return errors.Join(<-r.done, r.server.Close())
}

// piped is a peer whose far end is a program that it starts with a remote shell.
type piped struct{ dir, from, shell string }

func (p piped) run(cmd *exec.Cmd, link meter.Shape) (spentOn, error) {
	file := filepath.Join(p.dir, "count")
	cmd.Env = append(cmd.Env, pipeCount+"="+file, pipeRate+"="+strconv.Itoa(link.Rate), pipeTrip+"="+link.Trip.String())
	took, err := timed(cmd)
	if err != nil {
		return spentOn{}, err
	}
	count, err := takeCount(file)
	return spentOn{count: count, took: took}, err
}

func (p piped) close() error { return nil }

type borg struct{ piped }

func (b borg) repo() string { return "ssh://far" + filepath.Join(b.dir, "repository") }

func (b borg) borg(ctx context.Context, link meter.Shape, in, base string, args ...string) (spentOn, error) {
	cmd := exec.CommandContext(ctx, "borg", args...)
	cmd.Dir = in
	cmd.Env = append(os.Environ(), "BORG_RSH="+b.shell, "BORG_PASSPHRASE=benchmark",
		"BORG_BASE_DIR="+filepath.Join(b.dir, base), "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes")
	return b.run(cmd, link)
}

func (b borg) save(ctx context.Context) (spentOn, error) {
	return b.borg(ctx, meter.Shape{}, b.from, "base", "create", "--compression=zstd", b.repo()+"::{utcnow:%s%f}", ".")
}

func (b borg) restore(ctx context.Context, to string, link meter.Shape) (spentOn, error) {
	base := "base-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	cmd := exec.CommandContext(ctx, "borg", "list", "--short", "--last=1", filepath.Join(b.dir, "repository"))
	cmd.Env = append(os.Environ(), "BORG_PASSPHRASE=benchmark", "BORG_BASE_DIR="+filepath.Join(b.dir, "base"), "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes")
	last, err := cmd.Output()
	if err != nil {
		return spentOn{}, fmt.Errorf("borg list: %w", err)
	}
	return b.borg(ctx, link, to, base, "extract", b.repo()+"::"+string(bytes.TrimSpace(last)))
}

type rsync struct{ piped }

func (r rsync) sync(ctx context.Context, link meter.Shape, from, to string) (spentOn, error) {
	cmd := exec.CommandContext(ctx, "rsync", "-az", "--delete", "-e", r.shell, from+"/", to+"/")
	cmd.Env = os.Environ()
	return r.run(cmd, link)
}

func (r rsync) save(ctx context.Context) (spentOn, error) {
	return r.sync(ctx, meter.Shape{}, r.from, "far:"+filepath.Join(r.dir, "copy"))
}

func (r rsync) restore(ctx context.Context, to string, link meter.Shape) (spentOn, error) {
	return r.sync(ctx, link, "far:"+filepath.Join(r.dir, "copy"), to)
}

// timed runs a command.
func timed(cmd *exec.Cmd) (time.Duration, error) {
	var notes bytes.Buffer
	cmd.Stderr = &notes
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, bytes.TrimSpace(notes.Bytes()))
	}
	return time.Since(start), nil
}
