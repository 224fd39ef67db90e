package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// imageSize is the size of an image in bytes; it is sparse.
const imageSize = 112 << 20

// medium is a file system in a file, mounted through a loop device, so that one
// can write under the file system what no program wrote.
type medium struct {
	file string
	at   string
}

// newMedium makes and mounts one; only root can. at is the mount point.
func newMedium(ctx context.Context, file, at string, sh shape) (*medium, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: only root can mount a file system", errSkip)
	}
	mkfs, err := exec.LookPath("mkfs." + sh.fs)
	if err != nil {
		return nil, fmt.Errorf("%w: mkfs.%s is not installed", errSkip, sh.fs)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot make the image: %w", err)
	}
	if err := errors.Join(f.Truncate(imageSize), f.Close()); err != nil {
		return nil, fmt.Errorf("cannot make the image: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := loud(exec.CommandContext(ctx, mkfs, append(append([]string{"-q"}, sh.opt...), file)...), "cannot make the file system"); err != nil {
		return nil, err
	}
	i := &medium{file: file, at: at}
	return i, i.mount(ctx)
}

// mount mounts the image with the given options.
func (i *medium) mount(ctx context.Context, options ...string) error {
	args := []string{"-o", "loop"}
	for _, o := range options {
		args = append(args, "-o", o)
	}
	err := loud(exec.CommandContext(ctx, "mount", append(args, i.file, i.at)...), "cannot mount the image")
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %w", errSkip, err) // no loop device, or none for this file system
	}
	return err
}

// unmount unmounts the image.
func (i *medium) unmount(ctx context.Context) error { return unmount(ctx, i.at) }

// unmount unmounts what is mounted at a directory; what still uses it does not
// keep it, as it would not keep a card from being drawn.
func unmount(ctx context.Context, at string) error {
	if err := exec.CommandContext(ctx, "umount", at).Run(); err == nil {
		return nil
	}
	return loud(exec.CommandContext(ctx, "umount", "-l", at), "cannot unmount")
}

// close unmounts the image, if it is mounted.
func (i *medium) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if exec.CommandContext(ctx, "mountpoint", "-q", i.at).Run() != nil {
		return nil
	}
	return i.unmount(ctx)
}
