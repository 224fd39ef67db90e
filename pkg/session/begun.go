package session

import (
	"crypto/sha256"
	"slices"
	"sync"
)

// mostBegun is how many beginnings of blobs a server keeps, of 2 MiB at most each, and of
// one for each vault of a device.
const mostBegun = 4

// begunBlobs are what came of blobs in whose middle a link was cut, in memory: so that a
// device need not send the same bytes again when it is back. It is safe for concurrent use.
type begunBlobs struct {
	mu  sync.Mutex
	all []begunBlob // the latest last
}

type begunBlob struct {
	peer  string
	vault ID
	blob  Blob
}

// keep keeps the beginning of a blob, in place of an earlier one of that device and vault.
func (s *begunBlobs) keep(peer string, vault ID, b Blob) {
	s.drop(peer, vault)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == mostBegun {
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.all = append(s.all, begunBlob{peer, vault, b})
}

// drop forgets what has come of a device's blob.
func (s *begunBlobs) drop(peer string, vault ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(b begunBlob) bool { return b.peer == peer && b.vault == vault })
}

// find returns what has come of a blob; nil for nothing.
func (s *begunBlobs) find(peer string, vault, id ID) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.all {
		if b.peer == peer && b.vault == vault && b.blob.ID == id {
			return b.blob.Data
		}
	}
	return nil
}

// Want is what a reader has of a blob.
type Want struct {
	Missing bool // it is not there whole
	Begun   int  // bytes of its beginning that came before a link was cut, if it is missing
	Sum     [sha256.Size]byte
}

// Fits tells whether sealed bytes begin as those did that the reader has; then the rest will do.
func (w Want) Fits(sealed []byte) bool {
	return w.Begun > 0 && w.Begun < len(sealed) && sha256.Sum256(sealed[:w.Begun]) == w.Sum
}
