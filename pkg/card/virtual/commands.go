package virtual

import (
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// selectFile is SELECT (ISO/IEC 7816-4, 7.1.1).
func (c *Card) selectFile(command iso7816.Command) iso7816.Response {
	found, sw := c.find(command)
	if sw != iso7816.SWOK {
		return status(sw)
	}
	if found.Dir {
		c.session.dir, c.session.file = found, nil
	} else {
		c.session.dir, c.session.file = c.root.parentOf(found), found
	}
	switch command.P2 & 0x0C {
	case 0x0C:
		return status(iso7816.SWOK)
	case 0x04:
		return iso7816.Response{Data: wrap(0x62, parameters(found)), SW: iso7816.SWOK}
	case 0x00:
		return iso7816.Response{Data: wrap(0x6F, parameters(found)), SW: iso7816.SWOK}
	}
	return status(iso7816.SWWrongP1P2)
}

// find locates the file that a SELECT means.
func (c *Card) find(command iso7816.Command) (*File, uint16) {
	if command.P1 == 0x02 && c.options.Quirks.NoEFSelector {
		return nil, iso7816.SWWrongP1P2
	}
	var found *File
	switch command.P1 {
	case 0x00, 0x01, 0x02:
		var sw uint16
		if found, sw = c.findFID(command); sw != iso7816.SWOK {
			return nil, sw
		}
	case 0x03:
		found = c.root.parentOf(c.session.dir)
	case 0x04:
		found = c.root.named(command.Data)
	default:
		return nil, iso7816.SWWrongP1P2
	}
	if found == nil {
		return nil, iso7816.SWNotFound
	}
	return found, iso7816.SWOK
}

// findFID looks below the current DF, with P1=00 also for the master file, the
// current DF, its parent and its siblings.
func (c *Card) findFID(command iso7816.Command) (*File, uint16) {
	if command.P1 == 0 && len(command.Data) == 0 {
		return c.root, iso7816.SWOK
	}
	if len(command.Data) != 2 {
		return nil, iso7816.SWWrongLength
	}
	fid := uint16(command.Data[0])<<8 | uint16(command.Data[1])
	found := c.session.dir.child(fid)
	if command.P1 != 0 {
		if found != nil && found.Dir != (command.P1 == 0x01) {
			found = nil
		}
		return found, iso7816.SWOK
	}
	parent := c.root.parentOf(c.session.dir)
	switch {
	case fid == fidMF:
		found = c.root
	case found != nil, parent == nil:
	case fid == c.session.dir.FID:
		found = c.session.dir
	case fid == parent.FID:
		found = parent
	default:
		if sibling := parent.child(fid); sibling != nil && sibling.Dir {
			found = sibling
		}
	}
	return found, iso7816.SWOK
}

// read is READ BINARY with an offset of 15 bits.
func (c *Card) read(command iso7816.Command) iso7816.Response {
	file, off, sw := c.addressed(command)
	if sw != iso7816.SWOK {
		return status(sw)
	}
	q := c.options.Quirks
	if off >= len(file.Data) {
		if q.PastEnd != 0 {
			return status(q.PastEnd)
		}
		return status(iso7816.SWOutsideFile)
	}
	n := min(command.Ne, len(file.Data)-off)
	if q.ReadAtMost > 0 {
		n = min(n, q.ReadAtMost)
	}
	r := iso7816.Response{Data: append([]byte(nil), file.Data[off:off+n]...), SW: iso7816.SWOK}
	if q.PastEnd == iso7816.SWEndOfFile && command.Ne > len(file.Data)-off {
		r.SW = iso7816.SWEndOfFile
	}
	c.counts.Read += n
	return r
}

// update is UPDATE BINARY with an offset of 15 bits. It never writes in part.
func (c *Card) update(command iso7816.Command) iso7816.Response {
	file, off, sw := c.addressed(command)
	switch {
	case sw != iso7816.SWOK:
		return status(sw)
	case !c.mayWrite():
		return status(iso7816.SWSecurity)
	case len(command.Data) == 0:
		return status(iso7816.SWWrongLength)
	case off >= len(file.Data):
		return status(iso7816.SWOutsideFile)
	case len(command.Data) > len(file.Data)-off:
		return status(iso7816.SWNoSpace)
	}
	copy(file.Data[off:], command.Data)
	c.counts.Written += len(command.Data)
	return status(iso7816.SWOK)
}

// addressed is the current EF and the offset in P1 and P2.
func (c *Card) addressed(command iso7816.Command) (*File, int, uint16) {
	switch {
	case command.P1&0x80 != 0: // short EF identifier
		return nil, 0, iso7816.SWNotSupported
	case c.session.file == nil:
		return nil, 0, iso7816.SWNoCurrentEF
	}
	return c.session.file, int(command.P1)<<8 | int(command.P2), iso7816.SWOK
}

// delete is DELETE FILE for a child of the current DF, or without data for the
// current file.
func (c *Card) delete(command iso7816.Command) iso7816.Response {
	switch {
	case c.options.Quirks.NoDelete:
		return status(iso7816.SWUnknownINS)
	case !c.mayWrite():
		return status(iso7816.SWSecurity)
	}
	target := c.session.file
	if target == nil {
		target = c.session.dir
	}
	if len(command.Data) > 0 {
		target, _ = c.findFID(iso7816.Command{P1: 0, Data: command.Data})
	}
	if target == nil {
		return status(iso7816.SWNotFound)
	}
	parent := c.root.parentOf(target)
	if parent == nil {
		return status(iso7816.SWConditions)
	}
	parent.remove(target)
	c.session.dir, c.session.file = parent, nil
	return status(iso7816.SWOK)
}
