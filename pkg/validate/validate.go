package validate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// MaxSize is the largest file that is looked at, in bytes.
const MaxSize = 256 << 20

// headSize is how many bytes of a file Recognise looks at.
const headSize = 4 << 10

// Format names a file format, as the manifest keeps it: "openssh-key", "sqlite".
type Format string

// File is what a check looks at.
type File struct {
	Name string // the base name; a hint only
	Size int64
	Data io.ReaderAt
	// Beside gives a file of the same directory, such as a key's .pub or a
	// database's -wal. Its error wraps fs.ErrNotExist when there is none. It may be
	// nil, which stands for none at all.
	Beside func(name string) (File, error)
}

// Invalid is the error of contents that are not what their format asks for.
type Invalid struct {
	Format Format
	Reason string // what is wrong and where, for people; it holds no contents
	Beside bool   // it is whole, and does not fit a file beside it
}

// Error implements error.
func (e *Invalid) Error() string { return fmt.Sprintf("no valid %s: %s", e.Format, e.Reason) }

// ErrNotJudged is wrapped by the error of a check that did not come to an end:
// the file is too large, or needs what nobody can do here.
var ErrNotJudged = errors.New("cannot judge the format")

// ErrInUse is wrapped by the error of a check of a file that a program is in the
// middle of changing: later it can be judged. It wraps ErrNotJudged.
var ErrInUse = fmt.Errorf("%w: it is in use", ErrNotJudged)

// definition is what the package knows of one format.
type definition struct {
	format Format
	// byHand: people write such a file with an editor, and make mistakes in it.
	byHand bool
	// recognise tells whether a file of that name and with that beginning is
	// meant to be of the format. It is asked in the order of the table.
	recognise func(name string, head []byte) bool
	// check returns nil, *Invalid, an error that wraps ErrNotJudged, the
	// context's error, or that of a read.
	check func(ctx context.Context, f File) error
}

// Formats are all formats that are known. It may be used by several goroutines at once.
type Formats struct {
	table []definition // the first that recognises a file has it
}

// New returns the formats.
func New() Formats { return Formats{table: table()} }

func table() []definition { return append(keyFormats(), dataFormats()...) }

func (all Formats) find(format Format) (definition, bool) {
	for _, d := range all.table {
		if d.format == format {
			return d, true
		}
	}
	return definition{}, false
}

// ByHand tells whether people write files of the format with an editor, so that
// one that is not valid may be an edit with a mistake in it.
func (f Format) ByHand() bool {
	d, ok := New().find(f)
	return ok && d.byHand
}

// Closed are the permission bits with which a file of the format is no secret any
// more: those that ssh, NetworkManager and GnuPG refuse, and of other private keys,
// which a group may well share, those of everybody. It is 0 for what is no secret.
func (f Format) Closed() uint32 {
	switch f {
	case "openssh-key", "gnupg-key", "networkmanager":
		return 0o077
	case "pem-key", "der-key", "pkcs12", "wireguard":
		return 0o007
	}
	return 0
}

// Recognise tells which format a file is meant to be of, by its name and its first
// bytes; "" when none is known or the file is empty. Its error is that of a read.
func (all Formats) Recognise(f File) (Format, error) {
	head := make([]byte, min(headSize, max(0, f.Size)))
	n, err := f.Data.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("cannot read the beginning: %w", err)
	}
	if n == 0 {
		return "", nil
	}
	for _, d := range all.table {
		if d.recognise(f.Name, head[:n]) {
			return d.format, nil
		}
	}
	return "", nil
}

// Check tells whether a file is whole: nil, or *Invalid with the reason, or
// another error when that could not be found out. A format that is not known, from a
// later version, is ErrNotJudged.
func (all Formats) Check(ctx context.Context, format Format, f File) error {
	d, ok := all.find(format)
	if !ok {
		return fmt.Errorf("%w: %q is not known", ErrNotJudged, format)
	}
	if f.Size > MaxSize {
		return fmt.Errorf("%w: it is larger than %d bytes", ErrNotJudged, MaxSize)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.check(ctx, f)
}

// beside gives a neighbour; ok is false when there is none.
func (f File) beside(name string) (neighbour File, ok bool, err error) {
	if f.Beside == nil {
		return File{}, false, nil
	}
	neighbour, err = f.Beside(name)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, false, nil
	}
	return neighbour, err == nil, err
}

// whole reads a file that a check needs in memory, of at most limit bytes.
func (f File) whole(limit int64) ([]byte, error) {
	if f.Size > limit {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrNotJudged, limit)
	}
	b := make([]byte, f.Size)
	n, err := f.Data.ReadAt(b, 0)
	if int64(n) == f.Size && errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}
