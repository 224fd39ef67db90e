package detect

import (
	"path"
	"strings"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// transient tells whether programs make and remove files of that name as they
// work: locks, swap files, halves of a save, what a database keeps beside itself.
// That such a file is gone, or empty, says nothing.
func transient(n userdata.Name) bool {
	base := path.Base(string(n))
	for _, prefix := range []string{".#", ".~", ".nfs", ".goutputstream-", ".fuse_hidden", "~$"} {
		if strings.HasPrefix(base, prefix) {
			return true
		}
	}
	for _, suffix := range []string{
		"~", ".tmp", ".temp", ".lock", ".lck", ".pid", ".part", ".crdownload", ".partial",
		"-wal", "-shm", "-journal", ".dpkg-new", ".dpkg-tmp", ".old", ".bak",
	} {
		if strings.HasSuffix(base, suffix) {
			return true
		}
	}
	if len(base) > 2 && base[0] == '#' && base[len(base)-1] == '#' {
		return true // what Emacs saves by itself
	}
	return base == "4913" || swap(base) || rsyncTemp(base)
}

// swap is a swap file of vi: ".name.swp", then ".swo" and so on down.
func swap(base string) bool {
	ext := path.Ext(base)
	return base[0] == '.' && len(ext) == 4 && strings.HasPrefix(ext, ".sw") && ext[3] >= 'a' && ext[3] <= 'z'
}

// rsyncTemp is ".name.XXXXXX", as rsync and mkstemp name what they write.
func rsyncTemp(base string) bool {
	ext := path.Ext(base)
	return base[0] == '.' && len(ext) == 7 && strings.Count(base, ".") > 2 && strings.ContainsAny(ext, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
}
