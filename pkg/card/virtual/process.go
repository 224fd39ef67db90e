package virtual

import (
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// Instructions of the card.
const (
	insVerify      = 0x20
	insChange      = 0x24
	insDisable     = 0x26
	insEnable      = 0x28
	insUnblock     = 0x2C
	insSelect      = 0xA4
	insRead        = 0xB0
	insGetResponse = 0xC0
	insUpdate      = 0xD6
	insCreate      = 0xE0
	insDelete      = 0xE4
	claChaining    = 0x10
)

// maxChain bounds the data that command chaining collects, in bytes.
const maxChain = 65535

// process runs one command APDU, whatever its bytes, and returns the response
// APDU. Its errors are errPulled, errMute, and those of writing the image.
func (c *Card) process(apdu []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	action := Answer
	if c.hook != nil {
		action = c.hook(0, apdu)
	}
	switch action {
	case PullFirst:
		return nil, errPulled
	case Mute:
		return nil, errMute
	case Tear, Wipe:
		if err := c.tear(apdu, action); err != nil {
			return nil, err
		}
		return nil, errPulled
	}
	answer, err := c.answer(apdu)
	if err == nil && action == PullAfter {
		err = errPulled
	}
	if err != nil {
		return nil, err
	}
	c.counts.APDUs++
	c.counts.In += len(apdu)
	c.counts.Out += len(answer)
	return answer, nil
}

// tear runs the first half of an UPDATE BINARY or PUT DATA, and nothing of other
// commands. Wiped, the place is as if it were never written.
func (c *Card) tear(apdu []byte, action Action) error {
	command, err := iso7816.ParseCommand(apdu)
	switch {
	case err != nil:
		return nil
	case c.piv != nil && command.INS == insPutData:
		c.session.piv.tear = action
		c.dispatch(command)
		c.session.piv.tear = Answer
		return c.save()
	case command.INS != insUpdate || len(command.Data) < 2:
		return nil
	case action == Wipe:
		command.Data = make([]byte, len(command.Data))
	default:
		command.Data = command.Data[:len(command.Data)/2]
	}
	c.run(command)
	return c.save()
}

// answer runs a command and keeps the image up to date.
func (c *Card) answer(apdu []byte) ([]byte, error) {
	command, err := iso7816.ParseCommand(apdu)
	if err != nil {
		return iso7816.Response{SW: iso7816.SWWrongLength}.Encode(), nil
	}
	response := c.dispatch(command)
	if changes(command) {
		if err := c.save(); err != nil {
			return nil, err
		}
	}
	return response.Encode(), nil
}

// changes tells whether a command may change what the image keeps.
func changes(command iso7816.Command) bool {
	switch command.INS {
	case insUpdate, insCreate, insDelete, insPutData, insGenerate, insChange, insUnblock, insEnable, insDisable:
		return true
	}
	return command.INS == insVerify && len(command.Data) > 0
}

// dispatch handles what precedes and follows every command: lengths, chaining
// and the delivery of the response.
func (c *Card) dispatch(command iso7816.Command) iso7816.Response {
	q := c.options.Quirks
	switch {
	case q.ShortOnly && command.Extended(),
		q.MaxData > 0 && (len(command.Data) > q.MaxData || command.Ne > q.MaxData):
		return status(iso7816.SWWrongLength)
	case command.CLA&^claChaining != 0:
		return status(iso7816.SWUnknownCLA)
	case command.INS == insGetResponse:
		return c.getResponse(command)
	}
	c.session.pending = nil
	if done, response := c.collect(&command); !done {
		return response
	}
	return c.deliver(command, c.run(command))
}

// collect joins chained commands; it is done when command is the whole one.
func (c *Card) collect(command *iso7816.Command) (done bool, r iso7816.Response) {
	chain := c.session.chain
	c.session.chain = nil
	if chain != nil {
		if chain.INS != command.INS || chain.P1 != command.P1 || chain.P2 != command.P2 {
			return false, status(0x6883) // last command of the chain expected
		}
		command.Data = append(chain.Data, command.Data...)
	}
	if len(command.Data) > maxChain {
		return false, status(iso7816.SWWrongLength)
	}
	if command.CLA&claChaining != 0 {
		kept := *command
		kept.Data = append([]byte(nil), command.Data...)
		c.session.chain = &kept
		return false, status(iso7816.SWOK)
	}
	return true, iso7816.Response{}
}

// deliver applies Le and the ways of T=0 to a response.
func (c *Card) deliver(command iso7816.Command, r iso7816.Response) iso7816.Response {
	q := c.options.Quirks
	if c.piv != nil && command.Ne == 0 { // as a YubiKey does, and its tools want
		command.Ne = iso7816.MaxShortResponse
	}
	switch {
	case len(r.Data) == 0:
		return r
	case q.T0 && len(command.Data) > 0,
		q.GetResponse > 0 && len(r.Data) > q.GetResponse:
		return c.announce(r.Data)
	case q.ExactLe && command.Ne > len(r.Data) && idempotent(command): // to be sent again
		return status(0x6C00 | uint16(len(r.Data))&0xff)
	case command.Ne < len(r.Data) && c.piv != nil && !q.CutShort:
		rest := c.announce(r.Data[command.Ne:])
		return iso7816.Response{Data: r.Data[:command.Ne], SW: rest.SW}
	case command.Ne < len(r.Data):
		r.Data = r.Data[:command.Ne]
	}
	return r
}

// idempotent tells whether running a command twice is running it once.
func idempotent(command iso7816.Command) bool {
	return command.INS != insAuthenticate && command.INS != insGenerate
}

// announce keeps data for GET RESPONSE.
func (c *Card) announce(data []byte) iso7816.Response {
	c.session.pending = data
	n := len(data)
	if limit := c.options.Quirks.GetResponse; limit > 0 {
		n = min(n, limit)
	}
	return status(0x6100 | uint16(min(n, 256))&0xff)
}

func (c *Card) getResponse(command iso7816.Command) iso7816.Response {
	pending := c.session.pending
	if len(pending) == 0 {
		return status(iso7816.SWConditions)
	}
	n := min(command.Ne, len(pending))
	r := iso7816.Response{Data: pending[:n:n], SW: iso7816.SWOK}
	c.session.pending = nil
	if n < len(pending) {
		r.SW = c.announce(pending[n:]).SW
	}
	return r
}

func (c *Card) run(command iso7816.Command) iso7816.Response {
	if c.piv != nil {
		return c.runPIV(command)
	}
	switch command.INS {
	case insSelect:
		return c.selectFile(command)
	case insRead:
		return c.read(command)
	case insUpdate:
		return c.update(command)
	case insCreate:
		return c.create(command)
	case insDelete:
		return c.delete(command)
	}
	return c.runCode(command)
}

// runCode runs the commands for PIN and PUK.
func (c *Card) runCode(command iso7816.Command) iso7816.Response {
	switch command.INS {
	case insVerify:
		return c.verify(command)
	case insChange:
		return c.change(command)
	case insUnblock:
		return c.unblock(command)
	case insEnable, insDisable:
		return c.require(command, command.INS == insEnable)
	}
	return status(iso7816.SWUnknownINS)
}

func status(sw uint16) iso7816.Response { return iso7816.Response{SW: sw} }
