package validate

import (
	"bufio"
	"context"
	"errors"
	"io"
)

// The packets of RFC 9580 section 5.
const (
	pgpSessionKey  = 1
	pgpSignature   = 2
	pgpPassword    = 3
	pgpOnePass     = 4
	pgpSecretKey   = 5
	pgpPublicKey   = 6
	pgpSecretSub   = 7
	pgpCompressed  = 8
	pgpEncrypted   = 9
	pgpMarker      = 10
	pgpLiteral     = 11
	pgpTrust       = 12
	pgpUserID      = 13
	pgpPublicSub   = 14
	pgpAttribute   = 17
	pgpProtected   = 18
	pgpAEAD        = 20
	pgpPadding     = 21
	pgpPrivateFrom = 60 // to 63: for private use

	// pgpPacketMax is the largest packet of a key that is looked into; a photograph is
	// the largest that there are.
	pgpPacketMax = 4 << 20
	// pgpDepth is how deep compressed packets may lie in each other.
	pgpDepth = 4
)

// pgpCheck is what all packets of a file share, also those in others: what they may cost.
type pgpCheck struct {
	ctx      context.Context
	work     int   // of checking signatures
	unpacked int64 // bytes
	depth    int   // of compressed packets in each other
}

// pgpReader reads packets and counts bytes.
type pgpReader struct {
	*pgpCheck
	r  *bufio.Reader
	at int64
}

// pgpBody reads the contents of one packet: with a length, in parts, or to the end.
type pgpBody struct {
	p     *pgpReader
	tag   int
	start int64 // where its header is
	left  int64
	parts bool // another length follows
	open  bool // it lasts to the end of the file
}

// errPGPShort stands for a file that ends inside of a packet.
var errPGPShort = errors.New("the packet is cut short")

func (p *pgpReader) ReadByte() (byte, error) {
	c, err := p.r.ReadByte()
	if err == nil {
		p.at++
	}
	return c, err
}

// number reads n bytes of a length.
func (p *pgpReader) number(n int) (v int64, err error) {
	for range n {
		c, err := p.ReadByte()
		if errors.Is(err, io.EOF) {
			err = errPGPShort
		}
		if err != nil {
			return 0, err
		}
		v = v<<8 | int64(c)
	}
	return v, nil
}

// next reads the header of the next packet; io.EOF when there is none.
func (p *pgpReader) next() (*pgpBody, error) {
	b := &pgpBody{p: p, start: p.at}
	c, err := p.ReadByte()
	if err != nil {
		return nil, err
	}
	if c&0x80 == 0 {
		return nil, broken(openpgp, "no packet begins at byte %d", b.start)
	}
	b.tag = pgpTag(c)
	if c&0x40 != 0 {
		return b, b.length()
	}
	if c&3 == 3 {
		b.open = true
		return b, nil
	}
	b.left, err = p.number(1 << (c & 3))
	return b, err
}

// length reads a length of the new format (section 4.2.1).
func (b *pgpBody) length() error {
	first, err := b.p.number(1)
	b.parts = false
	switch {
	case err != nil:
	case first < 192:
		b.left = first
	case first < 224:
		b.left, err = b.p.number(1)
		b.left += (first-192)<<8 + 192
	case first == 255:
		b.left, err = b.p.number(4)
	default:
		b.left, b.parts = 1<<(first&0x1f), true
	}
	return err
}

// Read implements io.Reader.
func (b *pgpBody) Read(p []byte) (int, error) {
	for b.left == 0 && !b.open {
		if !b.parts {
			return 0, io.EOF
		}
		if err := b.length(); err != nil {
			return 0, err
		}
	}
	if !b.open {
		p = p[:min(int64(len(p)), b.left)]
	}
	n, err := b.p.r.Read(p)
	b.p.at += int64(n)
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && !b.open {
		err = errPGPShort
	}
	return n, err
}

// whole reads a packet that is looked into.
func (b *pgpBody) whole() ([]byte, error) {
	all, err := io.ReadAll(io.LimitReader(b, pgpPacketMax+1))
	if len(all) > pgpPacketMax {
		return nil, notJudged("it has a packet of more than %d bytes", pgpPacketMax)
	}
	return all, err
}

// pass reads a packet that nothing can be told of without its key. What is encrypted
// has no long run of NULs.
func (b *pgpBody) pass(encrypted bool) (n int64, err error) {
	z := &zeroWatch{ctx: b.p.ctx}
	n, err = io.Copy(z, b)
	if err == nil && encrypted && z.longest >= sealedZeros {
		err = broken(openpgp, "the encrypted packet at byte %d holds a run of NUL bytes", b.start)
	}
	return n, err
}

// zeroWatch measures the longest run of NULs in what is written to it.
type zeroWatch struct {
	ctx          context.Context
	run, longest int
}

// Write implements io.Writer; it ends with its context.
func (z *zeroWatch) Write(p []byte) (int, error) {
	for _, c := range p {
		if c != 0 {
			z.run = 0
			continue
		}
		z.run++
		z.longest = max(z.longest, z.run)
	}
	return len(p), z.ctx.Err()
}
