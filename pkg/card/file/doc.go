// Package file owns the file card: an image file that stands for a smart card
// where there is none, or that lies on other removable media (paragraph 25 of
// the seed), found by the UUID of their file system. The card is in the reader
// while the image is at its path; to pull it, rename the image, or take the medium
// away.
//
// Reader implements card.Reader; its Medium implements card.Medium. New opens
// nothing, Run watches, by inotify or by looking, until its context ends, and each transaction opens the
// image, locks it against other processes and closes it again. It may be
// imported by the wiring of the reader host and by tests.
package file
