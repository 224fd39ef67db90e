package scan

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// Nature is what contents are like. It is found out when they are read, and
// holds as long as their digest does.
type Nature struct {
	Nul   bool // contents, and all of them NUL bytes
	Gap   bool // an aligned block of 512 NUL bytes among others
	Text  bool // no byte that text has not: control characters, NUL but for UTF-16
	Stray bool // UTF-8, and no Text only for a few control characters
	Torn  bool // text, but for noise that fills aligned blocks of 512 bytes, between text
	Ended bool // the last line has its end
	Dense bool // looks like noise: encrypted or compressed
	Open  bool // an Examiner cannot tell now, for a program is at work on it
	Odd   bool // Broken is only that a file beside it does not fit
	// Unsure: an Examiner could not judge it, too large for that or too slow.
	Unsure bool
	// Kind is what an Examiner took the contents for; "" when it did not know.
	// Broken says why they are not what they are meant to be, and is empty when
	// they are.
	Kind, Broken string
	// Marks are the CRC-32 (Castagnoli) of the first 16, 32, 64, ... bytes, as
	// far as the contents go: by them a beginning is recognised.
	Marks []uint32
}

func (n Nature) same(o Nature) bool {
	return slices.Equal(n.Marks, o.Marks) && n.Nul == o.Nul && n.Gap == o.Gap && n.Text == o.Text && n.Ended == o.Ended && n.Dense == o.Dense &&
		n.Stray == o.Stray && n.Torn == o.Torn && n.Open == o.Open && n.Odd == o.Odd && n.Unsure == o.Unsure && n.Kind == o.Kind && n.Broken == o.Broken
}

// Contents is a file that an Examiner looks at.
type Contents struct {
	Name userdata.Name
	Size int64
	Data io.ReaderAt
	// Beside opens a file of the same directory; the error wraps fs.ErrNotExist
	// or another of package fs. The caller closes it.
	Beside func(base string) (data io.ReaderAt, size int64, close func(), err error)
}

// Examiner tells what contents are meant to be, and why they are not: it fills in
// Kind, Broken, Odd, Open and Unsure. It is called for contents that are new only. It has
// to stop soon after its context ends, which bounds what one file takes and what
// all those of a scan take together.
type Examiner func(ctx context.Context, c Contents, n *Nature)

const (
	gapSize   = 512
	noiseSize = 4 << 10
	// noiseLeast is the entropy, in bits a byte, from which on a sample of
	// noiseSize is taken for noise; of random bytes it has 7.95.
	noiseLeast = 7.5
	firstMark  = 16
	maxMarks   = 24
)

// nature reads the file once more, from the page cache where it was just read.
func (w *walk) nature(ctx context.Context, d dir, name userdata.Name, fd int, e *Entry) error {
	r := natureReader{sum: crc32.New(crc32.MakeTable(crc32.Castagnoli)), next: firstMark}
	for off := int64(0); off < e.Size; {
		n, err := preadOnce(fd, w.buf, off)
		if err != nil {
			return err
		}
		if n == 0 {
			return errChanged
		}
		r.take(w.buf[:n])
		off += int64(n)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	e.Nature = r.finish()
	if w.examine != nil && e.Size > 0 {
		w.examined(ctx, Contents{
			Name: name, Size: e.Size, Data: io.NewSectionReader(fdReader(fd), 0, e.Size),
			Beside: func(base string) (io.ReaderAt, int64, func(), error) { return beside(d, base) },
		}, &e.Nature)
		e.Kind, e.Broken = e.Kind[:min(len(e.Kind), maxKind)], strings.ToValidUTF8(e.Broken[:min(len(e.Broken), maxKind)], "")
	}
	return ctx.Err()
}

// natureReader takes the contents in order.
type natureReader struct {
	nature Nature
	size   int64
	next   int64 // size of the next mark
	sum    interface {
		io.Writer
		Sum32() uint32
	}
	some  bool // a byte that is not NUL
	wide  bool // begins as UTF-16 does
	stray int  // bytes that no text has, for as long as there are few
	runes runes
	tear  tear
	last  byte
	block [gapSize]byte // to compare with
}

func (r *natureReader) take(b []byte) {
	if r.size == 0 {
		r.begin(b)
	}
	r.mark(b)
	r.gaps(b)
	if r.stray <= strayMost {
		r.stray += strays(b)
		r.runes.take(b)
	}
	r.last = b[len(b)-1]
	r.size += int64(len(b))
}

func (r *natureReader) begin(b []byte) {
	r.wide = bytes.HasPrefix(b, []byte{0xFF, 0xFE}) || bytes.HasPrefix(b, []byte{0xFE, 0xFF})
	r.nature.Dense = len(b) >= noiseSize/4 && entropy(b[:min(len(b), noiseSize)]) >= noiseFor(min(len(b), noiseSize))
}

// mark sums the bytes up, and notes the sum at each size that has a mark.
func (r *natureReader) mark(b []byte) {
	at := r.size
	for len(r.nature.Marks) < maxMarks && at+int64(len(b)) >= r.next {
		n := r.next - at
		_, _ = r.sum.Write(b[:n]) // a hash never fails
		r.nature.Marks = append(r.nature.Marks, r.sum.Sum32())
		b, at, r.next = b[n:], r.next, 2*r.next
	}
	if len(r.nature.Marks) < maxMarks {
		_, _ = r.sum.Write(b)
	}
}

// gaps looks for blocks of NUL bytes. What is read is aligned, but for the end.
func (r *natureReader) gaps(b []byte) {
	for len(b) > 0 {
		n := min(len(b), gapSize)
		if b[0] == 0 && bytes.Equal(b[:n], r.block[:n]) {
			r.nature.Gap = r.nature.Gap || n == gapSize
		} else {
			r.some = true
		}
		r.tear.take(b[:n])
		b = b[n:]
	}
}

func (r *natureReader) finish() Nature {
	n := r.nature
	n.Nul = r.size > 0 && !r.some
	n.Text = r.size > 0 && (r.stray == 0 || r.wide)
	n.Stray = !n.Text && r.size > 0 && r.stray <= strayMost && r.runes.whole()
	n.Torn = !n.Text && r.tear.torn
	n.Gap = n.Gap && !n.Nul
	n.Ended = r.last == '\n' || r.size == 0 || r.wide
	return n
}

// entropy is Shannon's, in bits a byte.
func entropy(b []byte) float64 {
	var counts [256]int
	for _, c := range b {
		counts[c]++
	}
	sum := 0.0
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(b))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}

// noiseFor allows for the size of a sample: of 1 KiB of random bytes the entropy
// is about 7.8, of 4 KiB 7.95.
func noiseFor(n int) float64 {
	if n < noiseSize {
		return noiseLeast - 0.2
	}
	return noiseLeast
}

// kind is what the manifest keeps of it.
func (n Nature) kind() string {
	switch {
	case n.Kind != "" && (n.Broken == "" || n.Odd):
		return n.Kind
	case n.Text:
		return KindText
	}
	return ""
}

// KindText is the kind of contents that an Examiner does not know, or that are
// broken, and that hold nothing but text.
const KindText = "text"

// Begins tells whether contents of the given size and marks may be the beginning
// of larger ones: all marks agree, and there is at least one.
func (n Nature) Begins(of Nature) bool {
	if len(n.Marks) == 0 || len(n.Marks) > len(of.Marks) {
		return false
	}
	for i, m := range n.Marks {
		if of.Marks[i] != m {
			return false
		}
	}
	return true
}

// Marks have these numbers: of the first 64 bytes, and of the first 128.
const (
	startMark = 2
	akinMark  = 3
)

// Start is the checksum of the first 64 bytes; false where there are fewer.
func (n Nature) Start() (uint32, bool) {
	if len(n.Marks) <= startMark {
		return 0, false
	}
	return n.Marks[startMark], true
}

// Akin tells whether two contents are the same for the first quarter of the longer
// one at least, and 128 bytes: the one is a version of the other.
func (n Nature) Akin(o Nature) bool {
	most := max(len(n.Marks)-2, len(o.Marks)-2, akinMark)
	return most < min(len(n.Marks), len(o.Marks)) && n.Marks[most] == o.Marks[most]
}

// fdReader reads a descriptor that others own.
type fdReader int

// ReadAt implements io.ReaderAt.
func (f fdReader) ReadAt(b []byte, off int64) (int, error) {
	done := 0
	for done < len(b) {
		n, err := preadOnce(int(f), b[done:], off+int64(done))
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}

func preadOnce(fd int, b []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(fd, b, off)
		if !errors.Is(err, unix.EINTR) {
			return max(n, 0), err
		}
	}
}

// beside opens a neighbour of a file that is being read.
func beside(d dir, base string) (io.ReaderAt, int64, func(), error) {
	fd, st, err := openRegular(d.fd, base)
	if err != nil {
		return nil, 0, nil, err
	}
	return io.NewSectionReader(fdReader(fd), 0, st.Size), st.Size, func() { _ = unix.Close(fd) }, nil
}
