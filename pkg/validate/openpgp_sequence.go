package validate

import (
	"bufio"
	"errors"
	"io"
)

// pgpSequence knows which packets were read, and which must come.
type pgpSequence struct {
	*pgpCheck
	packets   int
	primary   *pgpKey // the key that what follows belongs to
	subject   *pgpSigned
	unsigned  bool  // the subject had no signature of the key's owner yet
	at        int64 // of the subject
	sessions  int   // keys for data that did not come yet
	onePasses int   // signatures that were announced and did not come yet
}

// pgpSigned is what a signature of a key's owner is over, beside the key itself.
type pgpSigned struct {
	tag  int
	body []byte
}

// pgpPackets reads packets up to the end.
func pgpPackets(c *pgpCheck, r io.Reader) error {
	p := &pgpReader{pgpCheck: c, r: bufio.NewReaderSize(r, 32<<10)}
	s := &pgpSequence{pgpCheck: c}
	for {
		b, err := p.next()
		if b == nil && errors.Is(err, io.EOF) {
			return s.end()
		}
		if err == nil {
			err = s.take(b)
		}
		if b != nil && errors.Is(err, errPGPShort) { // else the packet is that which holds these
			return broken(openpgp, "it ends inside of the packet of byte %d", b.start)
		}
		if err != nil {
			return err
		}
		s.packets++
	}
}

func (s *pgpSequence) end() error {
	switch {
	case s.packets == 0:
		return broken(openpgp, "it holds nothing")
	case s.sessions > 0:
		return broken(openpgp, "the data that its last packets are the keys of are missing")
	case s.onePasses > 0:
		return broken(openpgp, "the signature that is announced is missing")
	}
	return s.leave()
}

// leave asks for what a key's parts must have had.
func (s *pgpSequence) leave() error {
	switch {
	case s.unsigned && s.subject == nil:
		return broken(openpgp, "nothing follows the key at byte %d", s.at)
	case s.unsigned:
		return broken(openpgp, "no signature of the key's owner follows what is at byte %d", s.at)
	}
	return nil
}

func (s *pgpSequence) take(b *pgpBody) error {
	switch b.tag {
	case pgpSecretKey, pgpPublicKey, pgpSecretSub, pgpPublicSub:
		return s.key(b)
	case pgpUserID, pgpAttribute:
		return s.identity(b)
	case pgpSignature:
		return s.signature(b)
	case pgpSessionKey, pgpPassword, pgpOnePass:
		return s.announcement(b)
	case pgpEncrypted, pgpProtected, pgpAEAD:
		s.sessions = 0
		return pgpSealed(b)
	case pgpCompressed:
		return b.inflate()
	case pgpLiteral, pgpTrust, pgpMarker, pgpPadding:
		_, err := b.pass(false)
		return err
	}
	if b.tag >= pgpPrivateFrom {
		_, err := b.pass(false)
		return err
	}
	return broken(openpgp, "the packet at byte %d is of no kind that is known", b.start)
}

func (s *pgpSequence) key(b *pgpBody) error {
	body, err := b.whole()
	if err != nil {
		return err
	}
	if err := s.leave(); err != nil {
		return err
	}
	secret := b.tag == pgpSecretKey || b.tag == pgpSecretSub
	key, fault := readPGPKey(body, secret)
	if fault != "" {
		return broken(openpgp, "the key at byte %d %s", b.start, fault)
	}
	s.at, s.unsigned, s.subject = b.start, true, nil
	if b.tag == pgpSecretKey || b.tag == pgpPublicKey {
		s.primary = key
		return nil
	}
	if s.primary == nil {
		return broken(openpgp, "the key that the subkey at byte %d belongs to is missing", b.start)
	}
	s.subject = &pgpSigned{pgpPublicSub, key.public}
	return nil
}

func (s *pgpSequence) identity(b *pgpBody) error {
	body, err := b.whole()
	if err != nil {
		return err
	}
	// A key is followed by its names, without a signature between; a name is not.
	if s.subject != nil {
		if err := s.leave(); err != nil {
			return err
		}
	}
	if s.primary == nil {
		return broken(openpgp, "the key that the name at byte %d belongs to is missing", b.start)
	}
	s.at, s.unsigned, s.subject = b.start, true, &pgpSigned{b.tag, body}
	return nil
}

func (s *pgpSequence) signature(b *pgpBody) error {
	body, err := b.whole()
	if err != nil {
		return err
	}
	sig, fault := readPGPSignature(body)
	if fault == "" && s.primary != nil && sig != nil && s.afford() {
		fault = s.primary.ownSignature(sig, s.subject)
	}
	if fault != "" {
		return broken(openpgp, "the signature at byte %d %s", b.start, fault)
	}
	if s.primary == nil || sig == nil || s.primary.owns(sig) {
		s.unsigned = false
	}
	s.onePasses = max(0, s.onePasses-1)
	return nil
}

// afford tells whether one more signature may be checked: a file must not be able to ask
// for the same large name to be hashed again and again.
func (s *pgpSequence) afford() bool {
	s.work += 16 << 10
	if s.subject != nil {
		s.work += len(s.subject.body)
	}
	return s.work < MaxSize
}

// announcement reads a packet that announces another.
func (s *pgpSequence) announcement(b *pgpBody) error {
	body, err := b.whole()
	if err != nil {
		return err
	}
	if fault := pgpAnnouncementFault(b.tag, body); fault != "" {
		return broken(openpgp, "the packet at byte %d %s", b.start, fault)
	}
	if b.tag == pgpOnePass {
		s.onePasses++
	} else {
		s.sessions++
	}
	return nil
}

func pgpAnnouncementFault(tag int, body []byte) string {
	f := &pgpFields{b: body}
	version := f.byte()
	switch {
	case tag == pgpOnePass && version == 3:
		f.take(12)
	case tag == pgpSessionKey && version == 3:
		f.take(8)
		if !f.sessionKey(f.byte()) {
			return ""
		}
	case tag == pgpPassword && version == 4:
		f.byte()
		f.s2k()
		f.b = nil // perhaps an encrypted key
	case version > 4 && version < 7:
		return "" // newer, and not looked into
	default:
		return "is of no version that is known"
	}
	if f.short || len(f.b) > 0 {
		return "is broken"
	}
	return ""
}

// sessionKey reads what a public key encrypted; false when its algorithm is not known.
func (f *pgpFields) sessionKey(algorithm int) bool {
	switch algorithm {
	case 1, 2:
		f.mpi()
	case 16:
		f.mpi()
		f.mpi()
	case 18:
		f.mpi()
		f.counted()
	default:
		return false
	}
	return true
}

// pgpSealed reads encrypted data: at least a version, a block's random bytes and their
// repetition, and the packet that ends them.
func pgpSealed(b *pgpBody) error {
	n, err := b.pass(true)
	if err == nil && n < 20 {
		err = broken(openpgp, "the encrypted packet at byte %d is cut short", b.start)
	}
	return err
}
