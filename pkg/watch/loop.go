package watch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/mountinfo"
)

const (
	// retryFirst and retryLast bound the wait, which doubles, before a root is looked
	// for again that lies there and cannot be watched, or whose coming nothing tells.
	retryFirst = 10 * time.Second
	retryLast  = time.Hour
	// breath is the pause after a wake-up, in which the kernel merges what goes on
	// happening.
	breath = 100 * time.Millisecond
)

// errNotPermitted is why the only backend that is to be used cannot be.
var errNotPermitted = errors.New("fanotify is asked for, and cannot be used")

// loop is a running watch. One goroutine waits for all the kernel has to tell.
type loop struct {
	*Watcher
	hints  *coalescer
	roots  []*root
	anchor *anchor
	tree   *tree         // nil while no root needs it
	fan    *fan          // nil where it is not permitted
	mounts int           // descriptor that tells of mounts and unmounts, or -1
	stop   int           // descriptor that tells of the context's end
	next   time.Time     // then to look again; zero for never
	pause  time.Duration // before that
	now    func() time.Time
}

func newLoop(w *Watcher, hints *coalescer) (*loop, error) {
	l := &loop{Watcher: w, hints: hints, mounts: -1, stop: -1, pause: retryFirst, now: time.Now}
	for _, r := range w.space.Roots() {
		l.roots = append(l.roots, &root{Root: r})
	}
	if err := l.open(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *loop) open() (err error) {
	if l.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("cannot make an eventfd: %w", err)
	}
	if l.anchor, err = openAnchor(); err != nil {
		return err
	}
	if l.mounts, err = unix.Open(mountinfo.File, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("cannot watch the mounts: %w", err)
	}
	if l.backend != Inotify {
		l.fan, err = openFan()
		if err != nil && l.backend == Fanotify {
			return errors.Join(errNotPermitted, err)
		}
		if err != nil {
			l.log.Debug("fanotify is not available; inotify is used", "err", err)
		}
	}
	return nil
}

func (l *loop) close() {
	if l.anchor != nil {
		l.anchor.ino.close()
	}
	if l.tree != nil {
		l.tree.ino.close()
	}
	if l.fan != nil {
		l.fan.close()
	}
	for _, fd := range []int{l.mounts, l.stop} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	l.inUse.Store(Backend(""))
}

// run waits and handles until the context ends.
func (l *loop) run(ctx context.Context) error {
	told := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(told)
		_, _ = unix.Write(l.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	defer func() {
		if !cancel() {
			<-told
		}
	}()
	l.check()
	for {
		ready, err := l.wait()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		l.handle(ready)
		if len(ready) > 0 && !pause(ctx, breath) {
			return nil
		}
	}
}

// wait returns the descriptors that have something to tell; none when it is time
// to look for roots that are not watched.
func (l *loop) wait() (map[int]bool, error) {
	fds := []unix.PollFd{
		{Fd: int32(l.stop), Events: unix.POLLIN},
		{Fd: int32(l.anchor.ino.fd), Events: unix.POLLIN},
		{Fd: int32(l.mounts), Events: unix.POLLPRI},
	}
	if l.tree != nil {
		fds = append(fds, unix.PollFd{Fd: int32(l.tree.ino.fd), Events: unix.POLLIN})
	}
	if l.fan != nil {
		fds = append(fds, unix.PollFd{Fd: int32(l.fan.fd), Events: unix.POLLIN})
	}
	_, err := unix.Poll(fds, l.timeout())
	if err != nil && !errors.Is(err, unix.EINTR) {
		return nil, fmt.Errorf("cannot wait for changes: %w", err)
	}
	ready := make(map[int]bool)
	for _, p := range fds {
		if err == nil && p.Revents != 0 {
			ready[int(p.Fd)] = true
		}
	}
	return ready, nil
}

// timeout is how many milliseconds to wait at most, -1 without end.
func (l *loop) timeout() int {
	if l.next.IsZero() {
		return -1
	}
	return int(max(0, l.next.Sub(l.now())).Milliseconds()) + 1
}

// handle takes in what the ready descriptors tell.
func (l *loop) handle(ready map[int]bool) {
	due := !l.next.IsZero() && !l.now().Before(l.next)
	if due {
		l.pause = min(2*l.pause, retryLast)
	}
	again := due || ready[l.mounts]
	if ready[l.anchor.ino.fd] {
		moved, lost, err := l.anchor.read()
		again = again || moved
		if lost || err != nil {
			l.lose(l.roots...)
			again = true
		}
	}
	if l.tree != nil && ready[l.tree.ino.fd] {
		again = l.readTree() || again
	}
	if l.fan != nil && ready[l.fan.fd] {
		again = l.readFan() || again
	}
	if again {
		l.check()
	}
}

func (l *loop) readTree() (again bool) {
	lost, err := l.tree.read()
	for _, r := range l.roots {
		for _, name := range lost {
			if r.Name == name {
				l.lose(r)
			}
		}
		if err != nil && r.via == Inotify {
			l.lose(r)
		}
	}
	return len(lost) > 0 || err != nil
}

// readFan passes on what happened below the roots. What came or went above a root
// may have taken the root along.
func (l *loop) readFan() (again bool) {
	happened, lost, err := l.fan.read()
	for _, r := range l.roots {
		if r.via != Fanotify {
			continue
		}
		if lost || err != nil {
			l.hints.rescan(r.Name, false)
		}
		for _, h := range happened {
			if n, ok := r.name(h.path); ok {
				l.hints.add(n)
			}
			again = again || h.moved && within(r.place.path, h.path)
		}
	}
	return again
}
