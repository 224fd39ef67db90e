package validate

import (
	"archive/zip"
	"context"
	"errors"
	"io"
)

const (
	zipDirectoryMax = 4 << 20 // bytes read to learn what an archive holds
	zipEncrypted    = 0x1     // a flag of an entry (APPNOTE 4.4.4)
)

// checkZip looks at an archive and at the many formats that are one (documents,
// books, packages): at its directory, and that each entry unpacks to what has its
// checksum. Encrypted entries have to be there only.
func checkZip(ctx context.Context, f File) error {
	r := &zipBytes{f: f, ctx: ctx, left: zipDirectoryMax}
	z, err := zip.NewReader(r, f.Size)
	if r.err != nil {
		return r.err
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return broken("zip", "its directory, at the end, is broken or not there")
	}
	r.left = MaxSize + inflatedMax
	left, skipped := int64(inflatedMax), 0
	for i, entry := range z.File {
		n, known, err := zipEntry(entry, left)
		if r.err != nil {
			return r.err
		}
		if err != nil {
			return broken("zip", "entry %d of %d: %s", i+1, len(z.File), zipFault(err))
		}
		if left -= n; left <= 0 {
			return notJudged("it unpacks to more than %d bytes", inflatedMax)
		}
		if !known {
			skipped++
		}
	}
	if skipped > 0 {
		return notJudged("%d of its entries are packed in a way that is not known here", skipped)
	}
	return nil
}

// zipEntry unpacks an entry, or looks for its packed bytes only; known is false
// when it should have and could not.
func zipEntry(entry *zip.File, left int64) (n int64, known bool, err error) {
	if entry.Flags&zipEncrypted != 0 || entry.Method != zip.Store && entry.Method != zip.Deflate {
		packed, err := entry.OpenRaw()
		if err == nil {
			n, err = io.Copy(io.Discard, io.LimitReader(packed, left))
		}
		if err == nil && n < left && uint64(n) != entry.CompressedSize64 {
			err = io.ErrUnexpectedEOF
		}
		return n, entry.Flags&zipEncrypted != 0, err
	}
	unpacked, err := entry.Open()
	if err != nil {
		return 0, true, err
	}
	defer func() { _ = unpacked.Close() }() // it was only read
	n, err = io.Copy(io.Discard, io.LimitReader(unpacked, left))
	return n, true, err
}

func zipFault(err error) string {
	switch {
	case errors.Is(err, zip.ErrChecksum):
		return "its contents do not have their checksum"
	case errors.Is(err, zip.ErrFormat):
		return "its header is broken"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "it is cut short"
	}
	return "its compressed data are broken"
}

// zipBytes bounds what an archive's directory makes its reader hold, and ends with
// its context.
type zipBytes struct {
	f    File
	ctx  context.Context
	left int64
	err  error
}

// ReadAt implements io.ReaderAt.
func (z *zipBytes) ReadAt(p []byte, off int64) (int, error) {
	if z.err == nil {
		z.err = z.ctx.Err()
	}
	if z.left -= int64(len(p)); z.left < 0 && z.err == nil {
		z.err = notJudged("its directory is too large")
	}
	if z.err != nil {
		return 0, z.err
	}
	if off < 0 {
		return 0, zip.ErrFormat // a directory that points there
	}
	n, err := z.f.Data.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		z.err = err
	}
	return n, err
}
