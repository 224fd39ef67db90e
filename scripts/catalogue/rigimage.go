package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// imageSize is the size of an image in bytes; it is sparse.
const imageSize = 112 << 20

// medium is a file system in a file, mounted through a loop device, so that one
// can write under the file system what no program wrote.
type medium struct {
	file    string
	at      string
	mapper  *mapper  // nil: the mount makes the loop device
	options []string // of every mount
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
	if err := loud(exec.CommandContext(ctx, mkfs, append(append([]string{}, sh.opt...), file)...), "cannot make the file system"); err != nil {
		return nil, err
	}
	i := &medium{file: file, at: at, options: sh.mount}
	if sh.mapped {
		if i.mapper, err = newMapper(ctx, file); err != nil {
			return nil, err
		}
	}
	if err := i.mount(ctx); err != nil {
		return nil, errors.Join(err, i.close())
	}
	if sh.subvolumes {
		if err := i.subvolumes(ctx); err != nil {
			return nil, errors.Join(err, i.close())
		}
	}
	return i, nil
}

// subvolumes makes one for each root.
func (i *medium) subvolumes(ctx context.Context) error {
	for _, c := range userdata.Classes() {
		if err := newSubvolume(ctx, filepath.Join(i.at, string(c))); err != nil {
			return err
		}
	}
	return nil
}

func newSubvolume(ctx context.Context, path string) error {
	return loud(exec.CommandContext(ctx, "btrfs", "subvolume", "create", path), "cannot make a subvolume")
}

// mount mounts the image with the given options.
func (i *medium) mount(ctx context.Context, options ...string) error {
	from, args := i.file, []string{"-o", "loop"}
	if i.mapper != nil {
		from, args = i.mapper.path(), nil
	}
	for _, o := range slices.Concat(i.options, options) {
		args = append(args, "-o", o)
	}
	err := loud(exec.CommandContext(ctx, "mount", append(args, from, i.at)...), "cannot mount the image")
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		first, _, _ := strings.Cut(err.Error(), "\n") // no loop device, or none for this file system
		_, reason, _ := strings.Cut(first, i.at+": ")
		return fmt.Errorf("%w: cannot mount: %s", errSkip, reason)
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
	var err error
	if exec.CommandContext(ctx, "mountpoint", "-q", i.at).Run() == nil {
		err = i.unmount(ctx)
	}
	if i.mapper != nil {
		err = errors.Join(err, i.mapper.close(ctx))
	}
	return err
}

// reserveLoop takes the next loop device, so that somebody else gets another one,
// until it is given up.
func reserveLoop(ctx context.Context, file string) (free func() error, err error) {
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, 1<<20)); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "losetup", "-f", "--show", file).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot make a loop device: %w", err)
	}
	return func() error {
		return loud(exec.CommandContext(ctx, "losetup", "-d", strings.TrimSpace(string(out))), "cannot give the loop device up")
	}, nil
}
