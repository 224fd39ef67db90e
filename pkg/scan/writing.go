package scan

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// Writing tells whether some process has the file open for writing at this moment,
// or has changed it since it was observed. Where nobody can tell, it has not: a lease, by which the kernel tells, needs
// CAP_LEASE or the file's owner, and a file system that knows leases.
func (s *Scanner) Writing(n userdata.Name, seen Observation) bool {
	f, err := s.open(n)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // which ends the lease
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	writing := false
	err = raw.Control(func(fd uintptr) {
		var st unix.Stat_t
		if unix.Fstat(int(fd), &st) == nil && !observe(&st).sameTimes(seen) {
			writing = true
			return
		}
		_, err := unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_RDLCK)
		writing = errors.Is(err, unix.EAGAIN)
		if err == nil {
			_, _ = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_UNLCK) // at once: who opens it waits for that
		}
	})
	return err == nil && writing
}

// sameTimes tells whether no write shows between two observations of a moment. FAT gives a
// file another inode when it has been out of memory; elsewhere another file that took its
// place has another change time.
func (o Observation) sameTimes(p Observation) bool {
	o.Dev, o.Ino = p.Dev, p.Ino
	return o == p
}
