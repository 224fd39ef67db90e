package pcsc

import (
	"log/slog"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
)

// Defaults of Config.
const (
	DefaultAPDUTimeout = 15 * time.Second
	DefaultTimeout     = 2 * time.Minute

	DefaultServiceTimeout = 10 * time.Second
)

// Config says which reader to use and how.
type Config struct {
	Match    string         // part of the reader's name; "" is any, the first that has a card
	Profiles []card.Profile // tried in order; the first that knows the card serves it

	APDUTimeout    time.Duration    // for the card's answer to one command, 0 for DefaultAPDUTimeout
	ServiceTimeout time.Duration    // for what the service answers without a card, 0 for DefaultServiceTimeout
	Timeout        time.Duration    // for a transaction whose context has no deadline, 0 for DefaultTimeout
	Notify         func(card.Event) // called as card.Reader.Run says; may be nil
	Log            *slog.Logger     // nil for none
}

func (c Config) withDefaults() Config {
	if c.APDUTimeout == 0 {
		c.APDUTimeout = DefaultAPDUTimeout
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.ServiceTimeout == 0 {
		c.ServiceTimeout = DefaultServiceTimeout
	}
	if c.Notify == nil {
		c.Notify = func(card.Event) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
