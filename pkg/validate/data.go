package validate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// inflatedMax is how many bytes a check unpacks of a compressed file at most.
const inflatedMax = 1 << 30

// dataFormats is what people's data and preferences are kept in. Formats with a
// signature come first, so that a name alone never claims a file of another kind.
func dataFormats() []definition {
	return slices.Concat(binaryFormats(), markedFormats(), textFormats())
}

func binaryFormats() []definition {
	return []definition{
		{"sqlite", false, startsWith(sqliteMagic), checkSQLite},
		{"sqlite-wal", false, startsWith("\x37\x7f\x06\x82", "\x37\x7f\x06\x83"), checkSQLiteWAL},
		{"gvdb", false, startsWith(gvdbMagic, gvdbSwapped), checkGVDB},
		{"png", false, startsWith(pngMagic), checkPNG},
		{"jpeg", false, startsWith("\xff\xd8\xff"), checkJPEG},
		{"gif", false, startsWith("GIF87a", "GIF89a"), checkGIF},
		{"webp", false, recogniseWebP, checkWebP},
		{"mp4", false, recogniseMP4, checkMP4},
		{"pdf", false, recognisePDF, checkPDF},
		{"zip", false, startsWith("PK\x03\x04", "PK\x05\x06"), checkZip},
		{"gzip", false, startsWith("\x1f\x8b\x08"), checkGzip},
		{"zstd", false, startsWith("\x28\xb5\x2f\xfd"), checkZstd},
		{"bzip2", false, recogniseBzip2, checkBzip2},
		{"xz", false, startsWith(xzMagic), checkXz},
		{"tar", false, recogniseTar, checkTar},
		{"bplist", false, startsWith("bplist00"), checkBinaryPlist},
		{"der-key", false, recogniseDERKey, checkDERKey},
	}
}

func textFormats() []definition {
	return []definition{
		{"plist", true, recogniseXMLPlist, checkXMLPlist},
		{"xml", true, recogniseXML, checkXML},
		{"desktop", true, recogniseDesktop, checkDesktop},
		{"json", true, recogniseJSON, checkJSON},
		{"jsonl", true, recogniseJSONLines, checkJSONLines},
		{"yaml", true, named(".yaml", ".yml"), checkYAML},
		{"toml", true, named(".toml"), checkTOML},
		{"ini", true, recogniseINI, checkINI},
	}
}

// startsWith recognises a format by the bytes that each of its files begins with.
func startsWith(magics ...string) func(string, []byte) bool {
	return func(_ string, head []byte) bool {
		return slices.ContainsFunc(magics, func(m string) bool { return bytes.HasPrefix(head, []byte(m)) })
	}
}

// named recognises a text format by the file's name only, because a file may
// begin with nearly anything; bytes that are no text speak against it.
func named(suffixes ...string) func(string, []byte) bool {
	return func(name string, head []byte) bool {
		return hasSuffix(name, suffixes...) && bytes.IndexByte(head, 0) < 0
	}
}

func hasSuffix(name string, suffixes ...string) bool {
	return slices.Contains(suffixes, strings.ToLower(filepath.Ext(name)))
}

// broken makes the verdict on contents of a format. What it formats are numbers
// and words of its own: never bytes of the file.
func broken(format Format, reason string, args ...any) *Invalid {
	return &Invalid{Format: format, Reason: fmt.Sprintf(reason, args...)}
}

func notJudged(reason string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotJudged, fmt.Sprintf(reason, args...))
}

// reword gives the words for the first of the known parts that the message of a
// library has; such a message may hold contents and is never shown itself.
func reword(message string, known [][2]string, other string) string {
	for _, k := range known {
		if strings.Contains(message, k[0]) {
			return k[1]
		}
	}
	return other
}

// stream reads a file from its beginning. It ends with its context, and keeps the
// error of a read apart, because parsers mix it with what they find themselves.
type stream struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (f File) stream(ctx context.Context) *stream {
	return &stream{ctx: ctx, r: io.NewSectionReader(f.Data, 0, f.Size)}
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = fmt.Errorf("cannot read it: %w", err)
		return n, s.err
	}
	return n, err
}

// verdict is what a parser found, unless what it read was not the file's contents.
func (s *stream) verdict(found error) error {
	if s.err != nil {
		return s.err
	}
	return found
}

// bytesAt reads exactly n bytes at an offset; ok is false when the file ends before.
func (f File) bytesAt(off int64, n int) (b []byte, ok bool, err error) {
	if off < 0 || n < 0 || off > f.Size-int64(n) {
		return nil, false, nil
	}
	b = make([]byte, n)
	ok, err = f.fill(b, off)
	return b, ok, err
}

// fill reads bytes at an offset; ok is false when the file ends before.
func (f File) fill(b []byte, off int64) (ok bool, err error) {
	n, err := f.Data.ReadAt(b, off)
	if n == len(b) {
		return true, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return false, nil
	}
	return false, fmt.Errorf("cannot read it: %w", err)
}
