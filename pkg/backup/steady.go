package backup

import (
	"errors"
	"hash"
	"io"

	"github.com/reprovision/reprovision/pkg/manifest"
)

// errUnsteady says that a file's contents are not those that the scan saw.
var errUnsteady = errors.New("contents changed since the scan")

// readError marks an error that came from the device's file and not from the
// way to the reader.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// steady reads a file and fails at its end unless the contents are what the
// scan saw. Whoever reads from it so never takes a torn file for a whole one.
type steady struct {
	file io.ReadCloser
	sum  hash.Hash
	want manifest.Digest
}

func (s *steady) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	s.sum.Write(p[:n])
	if errors.Is(err, io.EOF) {
		if manifest.Digest(s.sum.Sum(nil)) != s.want {
			return n, &readError{errUnsteady}
		}
		return n, io.EOF
	}
	if err != nil {
		return n, &readError{err}
	}
	return n, nil
}

func (s *steady) Close() error { return s.file.Close() }
