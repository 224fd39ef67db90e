package validate

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
)

// The markers of JPEG (ITU-T T.81, table B.1).
const (
	jpegSOI  = 0xd8
	jpegEOI  = 0xd9
	jpegSOS  = 0xda
	jpegRST0 = 0xd0
	jpegRST7 = 0xd7
)

// checkJPEG follows the segments and the scans up to the end mark. What follows
// that, such as a film that belongs to the photograph, is not looked at.
func checkJPEG(ctx context.Context, f File) error {
	s := f.stream(ctx)
	j := &jpegSegments{r: bufio.NewReaderSize(s, 32<<10)}
	what, err := j.all()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		what = "it ends before its end mark"
	}
	if what != "" {
		return s.verdict(broken("jpeg", "byte %d: %s", j.at, what))
	}
	return s.verdict(err)
}

type jpegSegments struct {
	r      *bufio.Reader
	at     int64
	frames int
	scans  int
}

func (j *jpegSegments) read() (byte, error) {
	c, err := j.r.ReadByte()
	if err == nil {
		j.at++
	}
	return c, err
}

func (j *jpegSegments) all() (what string, err error) {
	var head [2]byte
	for i := range head {
		if head[i], err = j.read(); err != nil {
			return "", err
		}
	}
	if head != [2]byte{0xff, jpegSOI} {
		return "its first bytes are not those of a picture", nil
	}
	marker, err := j.marker()
	for err == nil && marker != jpegEOI {
		if marker == 0 {
			return "no marker where one has to be", nil
		}
		if marker, what, err = j.segment(marker); what != "" {
			return what, nil
		}
	}
	if err == nil && j.scans == 0 {
		what = "it has no picture"
	}
	return what, err
}

// marker reads the next marker and the fill bytes before it; 0 when there is none.
func (j *jpegSegments) marker() (byte, error) {
	c, err := j.read()
	if err != nil || c != 0xff {
		return 0, err
	}
	for c == 0xff && err == nil {
		c, err = j.read()
	}
	return c, err
}

// segment reads what belongs to a marker, and gives the next one.
func (j *jpegSegments) segment(marker byte) (next byte, what string, err error) {
	if marker >= jpegRST0 && marker <= jpegRST7 {
		return 0, "a restart out of turn: a part of the picture is missing", nil
	}
	if marker == jpegSOI || marker < 0xc0 {
		return 0, "an unknown marker", nil
	}
	body, err := j.body()
	if err != nil {
		return 0, "", err
	}
	if what = j.look(marker, body); what != "" {
		return 0, what, nil
	}
	if marker == jpegSOS {
		next, err = j.scan()
		return next, "", err
	}
	next, err = j.marker()
	return next, "", err
}

// body reads a segment with its length; it is nil when the length is impossible.
func (j *jpegSegments) body() ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(j.r, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n < 2 {
		return nil, nil
	}
	b := make([]byte, n-2)
	m, err := io.ReadFull(j.r, b)
	j.at += int64(2 + m)
	return b, err
}

// look checks the segments that a picture cannot be without.
func (j *jpegSegments) look(marker byte, body []byte) string {
	switch {
	case body == nil:
		return "a segment of an impossible length"
	case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
		j.frames++
		if len(body) < 6 || len(body) != 6+3*int(body[5]) || body[5] == 0 {
			return "a frame whose parts do not fit it"
		}
	case marker == jpegSOS:
		j.scans++
		if j.frames == 0 {
			return "a scan without a frame"
		}
		if len(body) < 1 || len(body) != 4+2*int(body[0]) {
			return "a scan whose parts do not fit it"
		}
	case marker == 0xdb && !jpegQuantizers(body):
		return "quantization tables that do not fit their segment"
	case marker == 0xc4 && !jpegCodes(body):
		return "Huffman tables that do not fit their segment"
	}
	return ""
}

func jpegQuantizers(b []byte) bool {
	for len(b) > 0 {
		n := 1 + 64*(1+int(b[0]>>4))
		if b[0]>>4 > 1 || b[0]&15 > 3 || n > len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}

func jpegCodes(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 17 || b[0]>>4 > 1 || b[0]&15 > 3 {
			return false
		}
		n := 17
		for _, c := range b[1:17] {
			n += int(c)
		}
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}

// scan reads the coded data up to the next marker that is not the restart which has
// its turn.
func (j *jpegSegments) scan() (next byte, err error) {
	for turn := byte(0); ; {
		c, err := j.read()
		if err != nil {
			return 0, err
		}
		if c != 0xff {
			continue
		}
		for c == 0xff && err == nil {
			c, err = j.read()
		}
		if err != nil || c != 0 && c != jpegRST0+turn {
			return c, err
		}
		if c != 0 {
			turn = (turn + 1) % 8
		}
	}
}
