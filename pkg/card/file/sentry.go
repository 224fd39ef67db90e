package file

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// sentryMask are the events after which another image may be in place, or this one written.
// Writing alone is none: in the image's directory others may write all the time.
const sentryMask = unix.IN_CREATE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_ATTRIB |
	unix.IN_CLOSE_WRITE | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// sentry is told by the kernel when something happens to a path, so that nobody has to look
// several times a second. It does not see what is mounted over the directory.
type sentry struct {
	inotify *os.File
	name    string        // in the directory
	news    chan struct{} // holds a token when something has happened
	gone    chan struct{} // closed when it sees nothing any more
}

// post begins to watch a path. The caller calls leave.
func post(path string) (*sentry, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the card image: %w", err)
	}
	s := &sentry{inotify: os.NewFile(uintptr(fd), "inotify"), name: filepath.Base(path), news: make(chan struct{}, 1), gone: make(chan struct{})}
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), sentryMask); err != nil {
		_ = s.inotify.Close()
		return nil, fmt.Errorf("cannot watch the card image: %w", err)
	}
	go s.stand()
	return s, nil
}

// told and ended are nil channels where there is no sentry.
func (s *sentry) told() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.news
}

func (s *sentry) ended() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.gone
}

// leave returns when nothing is watched any more.
func (s *sentry) leave() {
	_ = s.inotify.Close()
	<-s.gone
}

func (s *sentry) stand() {
	defer close(s.gone)
	buf := make([]byte, 16<<10) // several events, each of at most 16 bytes and a name
	for {
		n, err := s.inotify.Read(buf)
		if err != nil {
			return
		}
		concerned, on := s.heed(buf[:n])
		if concerned {
			select {
			case s.news <- struct{}{}:
			default:
			}
		}
		if !on {
			return
		}
	}
}

// heed reads events. on is false when there will be no more, for the directory is another one.
func (s *sentry) heed(events []byte) (concerned, on bool) {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		size := min(uint64(binary.NativeEndian.Uint32(events[12:])), uint64(len(events)-unix.SizeofInotifyEvent))
		name := strings.TrimRight(string(events[unix.SizeofInotifyEvent:][:size]), "\x00")
		events = events[unix.SizeofInotifyEvent+size:]
		if mask&(unix.IN_IGNORED|unix.IN_MOVE_SELF|unix.IN_DELETE_SELF|unix.IN_UNMOUNT) != 0 {
			return true, false
		}
		concerned = concerned || name == s.name || mask&unix.IN_Q_OVERFLOW != 0
	}
	return concerned, true
}
