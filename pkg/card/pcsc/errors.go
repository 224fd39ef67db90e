//go:build cgo

package pcsc

import (
	"context"
	"errors"
	"fmt"

	"github.com/ebfe/scard"

	"github.com/reprovision/reprovision/pkg/card"
)

// cardError says in the terms of package card what a PC/SC error means.
func cardError(err error) error {
	var code scard.Error
	if err == nil || !errors.As(err, &code) {
		return err
	}
	if meaning := meaningOf(code); meaning != nil {
		return fmt.Errorf("%w: %w", meaning, err)
	}
	return err
}

func meaningOf(code scard.Error) error {
	switch code {
	case scard.ErrNoSmartcard:
		return card.ErrNoCard
	case scard.ErrRemovedCard, scard.ErrResetCard, scard.ErrNotTransacted:
		// Inside a transaction nobody else can reset the card: it was taken out
		// and is back, or lost its power. What was selected on it is gone.
		return card.ErrRemoved
	case scard.ErrSharingViolation:
		return card.ErrBusy
	case scard.ErrNoReadersAvailable, scard.ErrUnknownReader, scard.ErrReaderUnavailable:
		return card.ErrNoReader
	case scard.ErrProtoMismatch, scard.ErrUnresponsiveCard, scard.ErrUnpoweredCard, scard.ErrUnsupportedCard:
		return card.ErrUnsupported
	}
	if serviceGone(code) {
		return card.ErrNoService
	}
	return nil
}

// serviceGone tells the errors of a daemon that is not there, or that was
// restarted and knows our handles no more.
func serviceGone(code scard.Error) bool {
	switch code {
	case scard.ErrSecurityViolation: // by its policy; or it is about to end, seen with 1.9.9 in the middle of a transaction
		return true
	case scard.ErrNoService, scard.ErrServiceStopped, scard.ErrCommError, scard.ErrInvalidHandle, scard.ErrShutdown,
		scard.ErrInternalError:
		return true
	}
	return false
}

// isCode tells whether err is one of the PC/SC errors.
func isCode(err error, codes ...scard.Error) bool {
	var code scard.Error
	if errors.As(err, &code) {
		for _, c := range codes {
			if c == code {
				return true
			}
		}
	}
	return false
}

// waited says that waiting for something ended with ctx. A canceled caller gets
// no meaning added: nothing is known then of the card.
func waited(ctx context.Context, meaning error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", meaning, ctx.Err())
	}
	return ctx.Err()
}
