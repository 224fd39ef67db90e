package detect

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// silent tells whether lstat still says what it said when the item was intact:
// then nobody wrote the bytes that differ. It is no evidence where the file had
// not been left alone for a while before: a second store to a page that is still
// dirty, or in the same tick of a coarse clock, moves no time.
func (j *judgement) silent(n userdata.Name) bool {
	was, known := j.ref.Seen.Get(n)
	is, there := j.now.Observed(n)
	saved, _ := j.ref.Manifest.Find(n)
	return known && there && was.Settled && was.Digest == saved.Digest && unwritten(was.Observation, is, j.now.FSType(n))
}

// altered tells whether a file differs from how it was last found though nobody wrote it: work
// that no snapshot has yet, and that nobody has any more. What it was found to hold must have
// been other than what is saved; else that is damaged, and there is something to restore.
func (j *judgement) altered(got manifest.Item) bool {
	last, known := j.ref.Last.Get(got.Name)
	is, there := j.now.Observed(got.Name)
	saved, _ := j.ref.Manifest.Find(got.Name)
	return known && there && last.Settled && last.Digest != got.Digest && last.Digest != saved.Digest &&
		!mapped(got.Name) && unwritten(last.Observation, is, j.now.FSType(got.Name))
}

// judgeAltered: the work is lost, but part of it may be worth more to its owner than the
// version before it. On a file system that cannot tell, it may be another work.
func (j *judgement) judgeAltered(n userdata.Name, reason string) (Verdict, string) {
	j.silences[n] = true
	if timeless(j.now.FSType(n)) {
		return Unavailable, reason + ", or a program has set the time back: this file system cannot tell"
	}
	return suspected, reason + ": they differ, though size, times and inode are as they were"
}

// mapped tells whether a file is one that a database maps into memory (-shm), and may
// change without a trace, as on tmpfs.
func mapped(n userdata.Name) bool { return strings.HasSuffix(string(n), "-shm") }

// unwritten tells whether two observations show no write between them. The number
// of the device says nothing: the kernel gives another one when the file system is
// mounted again. In an overlay it does, for it tells the layers apart. A file system
// without a change time gives its files other inodes, too.
func unwritten(was, is scan.Observation, fsType int64) bool {
	if timeless(fsType) {
		return was.Size == is.Size && was.MTime == is.MTime
	}
	if fsType != unix.OVERLAYFS_SUPER_MAGIC {
		was.Dev = is.Dev
	}
	return was == is
}

// written tells whether a file shows a write since it was intact: a file system whose
// structures are damaged may give a file another size, but no other times.
func (j *judgement) written(n userdata.Name) bool {
	was, known := j.ref.Seen.Get(n)
	is, there := j.now.Observed(n)
	if !known || !there {
		return false
	}
	was.Size, was.Mode = is.Size, is.Mode
	return !unwritten(was.Observation, is, j.now.FSType(n))
}

// judgeSilent: a file system that keeps no change time of its own leaves it open
// whether a program wrote and then set the modification time back.
func (j *judgement) judgeSilent(n userdata.Name) (Verdict, string) {
	if timeless(j.now.FSType(n)) {
		return Unavailable, "contents differ, though size and time are as they were; this file system cannot tell whether somebody wrote them"
	}
	return Corrupted, "contents differ, though size, times and inode are as they were"
}

const (
	fat   = 0x4D44
	exFAT = 0x2011BAB0
)

// timeless lists the file systems, by statfs's f_type, whose ctime is the
// modification time, or is another machine's: FAT, exFAT, NTFS (both drivers),
// FUSE, 9P, NFS, SMB; or comes with the image: squashfs, EROFS, ISO 9660, cramfs, romfs;
// and what is not known.
func timeless(fsType int64) bool {
	switch fsType {
	case 0, fat, exFAT, 0x5346544E, 0x7366746E, 0x65735546, 0x01021997, 0x6969, 0xFF534D42, 0xFE534D42,
		unix.SQUASHFS_MAGIC, unix.EROFS_SUPER_MAGIC_V1, unix.ISOFS_SUPER_MAGIC, unix.CRAMFS_MAGIC, 0x7275:
		return true
	}
	return false
}

// modeless lists the file systems whose files have the mode that the mount gives
// to all: it says nothing of one file, and cannot be mended there.
func modeless(fsType int64) bool { return fsType == fat || fsType == exFAT }
