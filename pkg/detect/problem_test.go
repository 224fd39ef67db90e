package detect

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// TestWhatReadErrorsSay: only those of the medium, and of a file system that finds
// itself damaged, say something of the data. A daemon that has run out of descriptors
// is no reason to write over a file.
func TestWhatReadErrorsSay(t *testing.T) {
	want := manifest.Item{Name: "keys/id", Class: userdata.Keys, Type: manifest.File}
	for errno, verdict := range map[syscall.Errno]Verdict{
		syscall.EIO: Corrupted, syscall.EUCLEAN: Corrupted, syscall.EBADMSG: Corrupted,
		syscall.EREMOTEIO: Corrupted, syscall.ENODATA: Corrupted, syscall.EILSEQ: Corrupted,
		syscall.EACCES: Unavailable, syscall.EPERM: Unavailable, syscall.EMFILE: Unavailable, syscall.ENFILE: Unavailable,
		syscall.ENOMEM: Unavailable, syscall.ESTALE: Unavailable, syscall.ENOTCONN: Unavailable, syscall.ETIMEDOUT: Unavailable,
		syscall.ENAMETOOLONG: Unavailable, syscall.ENODEV: Unavailable, syscall.EINTR: Unavailable, syscall.EOPNOTSUPP: Unavailable,
	} {
		j := new(judgement)
		v, reason := j.judgeProblem(want, scan.Problem{Name: want.Name, Reason: scan.Unreadable, Err: fmt.Errorf("cannot open: %w", errno)})
		if v != verdict || reason != "cannot be read: "+errno.Error() {
			t.Errorf("%v: %s, %q, want %s", errno, v, reason, verdict)
		}
	}
}
