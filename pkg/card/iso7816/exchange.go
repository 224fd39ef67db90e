package iso7816

import (
	"context"
	"fmt"
)

// Instructions that Exchange sends of its own accord.
const (
	insGetResponse = 0xC0
	claChaining    = 0x10
)

// maxRounds bounds the GET RESPONSE commands of one exchange. Answers of one
// byte at a time would be legal; no card that works does that.
const maxRounds = 1024

// Transmitter sends one command APDU and returns the response APDU. card.Channel
// is one.
type Transmitter interface {
	Transmit(ctx context.Context, apdu []byte) ([]byte, error)
}

// Link is how a card is spoken to.
type Link struct {
	Transmitter

	// T0 leaves Le away from commands with data, as T=0 demands; the card then
	// announces its response with 61xx.
	T0 bool

	// Extended lets commands of more than 255 bytes go out as extended APDUs.
	// Without it they are chained. A card says in its historical bytes whether
	// it takes extended lengths; few do over T=0.
	Extended bool
}

// Exchange sends a command and collects its whole response: it follows 61xx with
// GET RESPONSE and repeats the command with the right Le after 6Cxx. Status 9000
// gives a nil error; any other gives the response and a StatusError. A command
// that is refused for being extended is chained instead.
func (l Link) Exchange(ctx context.Context, c Command) (Response, error) {
	return l.ExchangeUntil(ctx, c, func([]byte) bool { return false })
}

// ExchangeUntil is Exchange for who may be content with the front of a response:
// enough is asked, after each piece, whether the data so far will do. The rest
// is then left on the card, which forgets it with the next command.
func (l Link) ExchangeUntil(ctx context.Context, c Command, enough func(data []byte) bool) (Response, error) {
	r, err := l.start(ctx, &c)
	if l.Extended && err == nil && r.SW == SWWrongLength && c.Extended() {
		l.Extended = false
		r, err = l.start(ctx, &c)
	}
	if err != nil {
		return Response{}, err
	}
	return l.collect(ctx, c, r, enough)
}

// start sends a command, in the form that the link has for it, up to its first
// answer. It leaves in c what was sent last.
func (l Link) start(ctx context.Context, c *Command) (Response, error) {
	if len(c.Data) > MaxShortData && !l.Extended {
		last, err := l.chain(ctx, *c)
		if err != nil {
			return Response{}, err
		}
		*c = last
	}
	if !l.Extended {
		c.Ne = min(c.Ne, MaxShortResponse)
	}
	return l.sendExact(ctx, *c)
}

// sendExact repeats the command once after 6Cxx, with which a card does nothing
// but say the right Le.
func (l Link) sendExact(ctx context.Context, c Command) (Response, error) {
	r, err := l.send(ctx, c)
	if err != nil || r.SW>>8 != 0x6C {
		return r, err
	}
	c.Ne = decodeNe([]byte{byte(r.SW)})
	return l.send(ctx, c)
}

// chain sends all but the last piece of a long command and returns the last
// (ISO/IEC 7816-4, 5.3.3).
func (l Link) chain(ctx context.Context, c Command) (Command, error) {
	for len(c.Data) > MaxShortData {
		piece := Command{CLA: c.CLA | claChaining, INS: c.INS, P1: c.P1, P2: c.P2, Data: c.Data[:MaxShortData]}
		r, err := l.send(ctx, piece)
		if err != nil {
			return Command{}, err
		}
		if r.SW != SWOK {
			return Command{}, fmt.Errorf("cannot chain command %02X: %w", c.INS, StatusError{r.SW})
		}
		c.Data = c.Data[MaxShortData:]
	}
	return c, nil
}

// collect follows 61xx until the response is complete, or enough.
func (l Link) collect(ctx context.Context, c Command, r Response, enough func([]byte) bool) (Response, error) {
	for round := 0; r.SW>>8 == 0x61; round++ {
		if len(r.Data) > 0 && enough(r.Data) {
			return r, nil
		}
		if round == maxRounds || len(r.Data) > MaxResponse {
			return Response{}, fmt.Errorf("%w: response to %02X does not end", ErrMalformed, c.INS)
		}
		get := Command{CLA: c.CLA &^ claChaining, INS: insGetResponse, Ne: decodeNe([]byte{byte(r.SW)})}
		more, err := l.sendExact(ctx, get)
		if err != nil {
			return Response{}, err
		}
		r = Response{Data: append(r.Data, more.Data...), SW: more.SW}
	}
	if r.SW != SWOK {
		return r, StatusError{r.SW}
	}
	return r, nil
}

func (l Link) send(ctx context.Context, c Command) (Response, error) {
	if l.T0 && len(c.Data) > 0 {
		c.Ne = 0
	}
	apdu, err := c.Encode()
	if err != nil {
		return Response{}, err
	}
	answer, err := l.Transmit(ctx, apdu)
	if err != nil {
		return Response{}, err
	}
	return ParseResponse(answer)
}
