package piv

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// Instructions of PIV cards (SP 800-73-4 part 2, 3).
const (
	insGenerate     = 0x47
	insAuthenticate = 0x87 // GENERAL AUTHENTICATE
	insSelect       = 0xA4
	insGetData      = 0xCB
	insPutData      = 0xDB
	insMetadata     = 0xF7 // of YubiKeys from firmware 5.3 on
)

// Data object tags.
const (
	tagList  = 0x5C // which object
	tagValue = 0x53 // its contents
)

// wholeObject is Le, in bytes, where extended lengths are taken. Its coding as
// zeros, the maximum, makes some cards answer nothing.
const wholeObject = 4096

// aid is the PIV application's, without the version (SP 800-73-4 part 1, 2.2).
func aid() []byte { return []byte{0xA0, 0, 0, 3, 8, 0, 0, 0x10, 0} }

// client speaks the commands that need no knowledge of our format.
type client struct{ link iso7816.Link }

// selectPIV selects the PIV application, which forgets what was verified.
func (c *client) selectPIV(ctx context.Context) error {
	_, err := c.link.Exchange(ctx, iso7816.Command{INS: insSelect, P1: 0x04, Data: aid(), Ne: iso7816.MaxShortResponse})
	return err
}

// get reads a data object, from its tag 53 on.  An object that is not there, or
// empty, gives nil.
func (c *client) get(ctx context.Context, tag uint32) ([]byte, error) {
	return c.getBy(ctx, tag, c.link, wholeObject, func([]byte) bool { return false })
}

// getFront is get until enough is satisfied, in pieces as small as they come, for
// who wants few.
func (c *client) getFront(ctx context.Context, tag uint32, enough func(raw []byte) bool) ([]byte, error) {
	short := c.link
	short.Extended = false
	return c.getBy(ctx, tag, short, wholeObject, enough)
}

// getPart is get until enough is satisfied, which n bytes are expected to do: a card
// that takes extended lengths is asked for no more.
func (c *client) getPart(ctx context.Context, tag uint32, n int, enough func(raw []byte) bool) ([]byte, error) {
	return c.getBy(ctx, tag, c.link, n, enough)
}

func (c *client) getBy(ctx context.Context, tag uint32, link iso7816.Link, ne int, enough func([]byte) bool) ([]byte, error) {
	raw, err := c.getOnce(ctx, tag, link, ne, enough)
	if err == nil && !whole(raw) && !enough(raw) && !link.T0 && (!link.Extended || ne != wholeObject) {
		// Cut to Le without a word: the card takes longer ones, then.
		link.Extended = true
		raw, err = c.getOnce(ctx, tag, link, wholeObject, enough)
	}
	if iso7816.IsStatus(err, iso7816.SWNotFound) || err == nil && empty(raw) {
		return nil, nil
	}
	return raw, err
}

func (c *client) getOnce(ctx context.Context, tag uint32, link iso7816.Link, ne int, enough func([]byte) bool) ([]byte, error) {
	command := iso7816.Command{
		INS: insGetData, P1: 0x3F, P2: 0xFF, Data: appendTLV(nil, tagList, appendTag(nil, tag)), Ne: iso7816.MaxShortResponse,
	}
	if link.Extended {
		command.Ne = max(ne, iso7816.MaxShortResponse+1)
	}
	r, err := link.ExchangeUntil(ctx, command, enough)
	if link.Extended && (err == nil && len(r.Data) == 0 || iso7816.IsStatus(err, iso7816.SWWrongLength)) {
		command.Ne = iso7816.MaxShortResponse
		r, err = link.ExchangeUntil(ctx, command, enough)
	}
	return r.Data, err
}

func empty(raw []byte) bool {
	_, length, _, ok := parseTag(raw)
	return len(raw) == 0 || ok && length == 0
}

// whole tells whether all of an object's contents are there.
func whole(raw []byte) bool {
	_, length, value, ok := parseTag(raw)
	return len(raw) == 0 || ok && length <= len(value)
}

// put writes a data object's contents, in place of what it held.
func (c *client) put(ctx context.Context, tag uint32, contents []byte) error {
	data := appendTLV(appendTLV(nil, tagList, appendTag(nil, tag)), tagValue, contents)
	_, err := c.link.Exchange(ctx, iso7816.Command{INS: insPutData, P1: 0x3F, P2: 0xFF, Data: data})
	return err
}

// authenticate is GENERAL AUTHENTICATE with the contents of a dynamic
// authentication template; it gives those of the answer.
func (c *client) authenticate(ctx context.Context, algorithm, key byte, template []byte) ([]byte, error) {
	r, err := c.link.Exchange(ctx, iso7816.Command{
		INS: insAuthenticate, P1: algorithm, P2: key, Data: appendTLV(nil, tagTemplate, template), Ne: iso7816.MaxShortResponse,
	})
	if err != nil || len(r.Data) == 0 {
		return nil, err
	}
	answer, ok := findTLV(r.Data, tagTemplate)
	if !ok {
		return nil, fmt.Errorf("%w: authentication without a template", iso7816.ErrMalformed)
	}
	return answer, nil
}

// cardError says in the terms of package card what a status word means when an
// object is written.
func cardError(err error) error {
	switch {
	case errors.Is(err, card.ErrAdminKey), errors.Is(err, card.ErrNoKey): // says all already
		return err
	case iso7816.IsStatus(err, iso7816.SWSecurity):
		return fmt.Errorf("%w: %w: %w", card.ErrReadOnly, card.ErrAdminKeyNeeded, err)
	}
	return iso7816.CardError(err)
}

// refused tells a card's answer from a failure to get one.
func refused(err error) bool {
	var status iso7816.StatusError
	return errors.As(err, &status)
}
