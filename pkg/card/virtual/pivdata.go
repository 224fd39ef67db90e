package virtual

import (
	"bytes"

	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// Instructions of PIV cards.
const (
	insGenerate     = 0x47
	insAuthenticate = 0x87
	insGetData      = 0xCB
	insPutData      = 0xDB
	insMetadata     = 0xF7
	insVersion      = 0xFD
)

// Tags of data objects that are special.
const (
	tagDiscovery = 0x7E
	tagPrinted   = 0x5FC109
)

// known tells whether the standard has an object of that tag (SP 800-73-4 part 1,
// table 3).
func known(tag uint32) bool {
	return tag >= 0x5FC101 && tag <= 0x5FC123 && tag != 0x5FC104 || tag == 0x7F61 || tag == tagDiscovery
}

// guarded tells whether an object is given away only after the PIN.
func guarded(tag uint32) bool {
	switch tag {
	case 0x5FC103, 0x5FC108, tagPrinted, 0x5FC121:
		return true
	}
	return false
}

// listed reads a tag list of one tag from the front of b.
func listed(b []byte) (tag uint32, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != 0x5C || b[1] < 1 || b[1] > 3 || len(b) < 2+int(b[1]) {
		return 0, nil, false
	}
	n := 2 + int(b[1])
	return uint32(number(b[2:n])), b[n:], true
}

// getData is GET DATA.
func (c *Card) getData(command iso7816.Command) iso7816.Response {
	tag, rest, ok := listed(command.Data)
	switch {
	case !ok || len(rest) > 0:
		return status(iso7816.SWWrongData)
	case command.P1 != 0x3F || command.P2 != 0xFF:
		return status(iso7816.SWWrongP1P2)
	case !known(tag):
		return status(iso7816.SWNotSupported)
	case guarded(tag) && !c.session.verified:
		return status(iso7816.SWSecurity)
	}
	if tag == tagDiscovery {
		name := wrap(0x4F, append(pivAID(), 1, 0))
		return iso7816.Response{Data: wrap(tagDiscovery, append(name, 0x5F, 0x2F, 2, 0x40, 0)), SW: iso7816.SWOK}
	}
	contents, ok := c.piv.Objects[tag]
	if !ok && !c.options.Quirks.EmptyObjects {
		return status(iso7816.SWNotFound)
	}
	c.counts.Read += len(contents)
	return iso7816.Response{Data: c.object(contents), SW: iso7816.SWOK}
}

// object wraps contents in tag 53.
func (c *Card) object(contents []byte) []byte {
	n := len(contents)
	b := []byte{0x53}
	switch {
	case n > 0xFF || c.options.Quirks.LongLengths:
		b = append(b, 0x82, byte(n>>8), byte(n))
	case n > 0x7F:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, byte(n))
	}
	return append(b, contents...)
}

// putData is PUT DATA. Without contents it deletes.
func (c *Card) putData(command iso7816.Command) iso7816.Response {
	tag, rest, ok := listed(command.Data)
	fields, err := splitTLV(rest)
	switch {
	case command.P1 != 0x3F || command.P2 != 0xFF:
		return status(iso7816.SWWrongP1P2)
	case !c.session.piv.admin:
		return status(iso7816.SWSecurity)
	case !ok || err != nil || len(fields) != 1 || fields[0].tag != 0x53:
		return status(iso7816.SWWrongData)
	case !known(tag) || tag == tagDiscovery:
		return status(iso7816.SWNotSupported)
	}
	contents := bytes.Clone(fields[0].value)
	if sw := c.admitObject(tag, contents); sw != iso7816.SWOK {
		return status(sw)
	}
	switch action := c.session.piv.tear; {
	case action == Wipe:
		delete(c.piv.Objects, tag)
		return status(iso7816.SWOK)
	case action == Tear:
		contents = contents[:len(contents)/2]
	}
	if len(contents) == 0 {
		delete(c.piv.Objects, tag)
	} else {
		c.piv.Objects[tag] = contents
	}
	c.counts.Written += len(command.Data)
	return status(iso7816.SWOK)
}

// admitObject tells whether the card has room for an object's new contents.
func (c *Card) admitObject(tag uint32, contents []byte) uint16 {
	q := c.options.Quirks
	used := c.piv.used(tag)
	if q.OutOfPlace {
		used = c.piv.used(0)
	}
	switch {
	case len(contents) > q.MaxObject:
		return iso7816.SWWrongLength
	case len(contents) == 0 && q.NoEmptyValue:
		return iso7816.SWWrongData
	case len(contents) > 0 && used+objectCost+len(contents) > c.options.Capacity:
		return iso7816.SWNoSpace
	}
	return iso7816.SWOK
}
