package reprovision

import (
	"context"
	"errors"
	"fmt"
)

// ErrGaveWay is wrapped, together with ErrInterrupted, by the error of a restore
// that ended because GiveWay was closed. It may go on at once.
var ErrGaveWay = errors.New("gave way to what is more urgent")

// settle begins the part of a restore that gives way.
func (j *job) settle() {
	if j.settled {
		return
	}
	j.settled = true
	if j.Settled != nil {
		j.Settled()
	}
	j.cache.giveWay = j.GiveWay
}

// mayGoOn returns the error with which the restore has to end before the next item.
func (j *job) mayGoOn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-j.cache.giveWay:
		return errGiveWay()
	default:
		return nil
	}
}

func errGiveWay() error { return fmt.Errorf("%w: %w", ErrInterrupted, ErrGaveWay) }
