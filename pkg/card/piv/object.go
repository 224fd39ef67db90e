package piv

import (
	"bytes"
	"context"
)

// Our objects are among those for retired key management certificates, 5FC10D to
// 5FC120 (SP 800-73-4 part 1, table 3).
const (
	firstTag   = 0x5FC10D
	maxObjects = 20
)

// tagOurs holds all contents of an object of ours: a primitive tag of the
// private class, so that whoever looks for a certificate (tag 70) finds none.
const tagOurs = 0xC1

// Magic numbers, each magicSize bytes.
const (
	magicHeader = "RPPV"
	magicData   = "RPPD"
	magicSize   = 4
)

// overhead is the number of bytes in the data of PUT DATA beside what an object
// of ours holds behind its magic: the tags and lengths of 5C, 53 and C1.
const overhead = 5 + 4 + 4 + magicSize

// inObject is the part of overhead that counts to the size of the object.
const inObject = 4 + magicSize

// inAnswer is what precedes the bytes behind the magic in an answer to GET DATA, at
// most: with lengths of one byte more than they need.
const inAnswer = 5 + 5 + magicSize

// object is the number of one of the data objects, from 0.
type object uint8

func (o object) tag() uint32 { return firstTag + uint32(o) }

// kind says whose an object is.
type kind int

const (
	absent  kind = iota // not there, or empty
	foreign             // somebody else's
	data                // ours, without meaning of its own
	head                // ours, a header
)

// content is what was read of an object.
type content struct {
	kind kind
	size int    // bytes behind the magic, read or not
	data []byte // those that were read
}

// wrap makes the contents of an object of ours.
func wrap(magic string, parts ...[]byte) []byte {
	return appendTLV(nil, tagOurs, append([]byte(magic), bytes.Join(parts, nil)...))
}

// parseContent judges what GET DATA gave, which may be the front of an object. An
// object of ours that was torn is still ours, as far as it can be recognized.
func parseContent(raw []byte) content {
	if empty(raw) {
		return content{kind: absent}
	}
	tag, length, value, ok := parseTag(raw)
	if !ok || tag != tagValue {
		return content{kind: foreign}
	}
	value = value[:min(length, len(value))]
	if len(value) == 0 || value[0] != tagOurs {
		return content{kind: foreign}
	}
	_, _, inner, ok := parseTag(value)
	if !ok { // the length itself is torn
		return content{kind: data}
	}
	for magic, kind := range map[string]kind{magicHeader: head, magicData: data} {
		if n := min(magicSize, len(inner)); string(inner[:n]) == magic[:n] {
			if n < magicSize {
				return content{kind: data}
			}
			return content{kind: kind, size: length - (len(value) - len(inner)) - magicSize, data: inner[magicSize:]}
		}
	}
	return content{kind: foreign}
}

// read reads at least n bytes behind the magic of an object, if it has as many.
func (c *client) read(ctx context.Context, o object, n int) (content, error) {
	raw, err := c.getPart(ctx, o.tag(), inAnswer+n, func(raw []byte) bool { return len(parseContent(raw).data) >= n })
	if err != nil {
		return content{}, err
	}
	return parseContent(raw), nil
}

// peek reads as little of an object as is needed to judge it. A header is read
// to its end.
func (c *client) peek(ctx context.Context, o object) (content, error) {
	raw, err := c.getFront(ctx, o.tag(), func(raw []byte) bool { return parseContent(raw).kind != head })
	if refused(err) { // the card does not know the object, or does not give it away
		return content{kind: foreign}, nil
	}
	return parseContent(raw), err
}

// write writes an object of ours.
func (c *client) write(ctx context.Context, o object, magic string, parts ...[]byte) error {
	return c.put(ctx, o.tag(), wrap(magic, parts...))
}
