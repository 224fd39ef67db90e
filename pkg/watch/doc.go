// Package watch owns the hints that something in the user-data space may have
// changed. It uses fanotify on whole file systems where the kernel permits it,
// and inotify on every directory otherwise.
//
// A hint is never truth: it names items worth a look, more than have changed,
// and now and then it cannot name them and asks for a rescan. What a process
// stores through a memory mapping gives no hint before it closes the file, and a
// network file system's other clients give none at all, so periodic scans stay
// necessary.
//
// Each root is watched as a place, not as one directory: when it is removed,
// replaced, mounted over or unmounted there is a hint to rescan it, and another
// when it is there again. Where it is missing the directories that exist on the way to it
// are watched, and the mounts.
//
// New starts nothing. Run owns the goroutines and descriptors and ends them all.
// Nothing wakes up while nothing happens, but for an ever slower retry
// while a root is there and cannot be watched. No descriptor is kept open in a root, so it can be
// unmounted. The package belongs to the mechanism layer and knows nothing of
// contents; the daemons import it. It is written for Linux.
package watch
