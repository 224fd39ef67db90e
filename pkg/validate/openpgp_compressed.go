package validate

import (
	"bufio"
	"compress/bzip2"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
)

// inflate unpacks a compressed packet (section 5.6), and looks at the packets in it.
func (b *pgpBody) inflate() error {
	var kind [1]byte
	if _, err := io.ReadFull(b, kind[:]); err != nil {
		return b.cut(err)
	}
	packed := bufio.NewReader(b)
	r, err := pgpUnpacker(kind[0], packed)
	if err != nil || r == nil {
		return b.cut(err)
	}
	if b.p.depth == pgpDepth {
		return notJudged("its compressed packets lie too deep in each other")
	}
	b.p.depth++
	err = pgpPackets(b.p.pgpCheck, &pgpUnpacked{b.p.pgpCheck, r})
	b.p.depth--
	if err != nil {
		return b.cut(err)
	}
	if _, err := packed.ReadByte(); err == nil {
		return broken(openpgp, "data follow the end of the compressed packet at byte %d", b.start)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// pgpUnpacked reads what is unpacked, up to a limit for the whole file.
type pgpUnpacked struct {
	*pgpCheck
	r io.Reader
}

// Read implements io.Reader.
func (u *pgpUnpacked) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := u.r.Read(p)
	if u.unpacked += int64(n); u.unpacked > inflatedMax {
		return 0, notJudged("it unpacks to more than %d bytes", inflatedMax)
	}
	return n, err
}

func pgpUnpacker(kind byte, packed *bufio.Reader) (io.Reader, error) {
	switch kind {
	case 0:
		return packed, nil
	case 1:
		return flate.NewReader(packed), nil
	case 2:
		return zlib.NewReader(packed)
	case 3:
		return bzip2.NewReader(packed), nil
	}
	return nil, errPGPShort
}

// cut makes a fault of an error of unpacking, but for those of reading.
func (b *pgpBody) cut(err error) error {
	var fault *Invalid
	if errors.As(err, &fault) {
		return broken(openpgp, "in the compressed packet at byte %d: %s", b.start, fault.Reason)
	}
	if errors.Is(err, ErrNotJudged) || b.p.ctx.Err() != nil {
		return err
	}
	return broken(openpgp, "the compressed packet at byte %d cannot be unpacked", b.start)
}
