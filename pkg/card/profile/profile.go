// Package profile chooses how a card in a reader is spoken to: by what it
// answers, or as the settings say. It owns nothing and starts nothing. It may be
// imported by the wiring of the reader host and by tests.
package profile

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/piv"
)

// Auto is the Kind that chooses by what the card answers.
const Auto = "auto"

// Config says which profile to use, and what each needs to know.
type Config struct {
	Kind string // Auto, piv.ProfileName or iso7816.ProfileName; "" is Auto
	PIV  piv.Config
	ISO  iso7816.Config
}

// New makes the card.Profile for pcsc.Config. Auto takes the store that is on
// the card. On one that has none it takes the PIV application where there is
// one, else the file system; a card with neither gives card.ErrUnsupported.
func New(config Config) (card.Profile, error) {
	tokens, files := piv.New(config.PIV), iso7816.New(config.ISO)
	switch config.Kind {
	case piv.ProfileName:
		return tokens, nil
	case iso7816.ProfileName:
		return files, nil
	case Auto, "":
		return auto(tokens, files), nil
	}
	return nil, fmt.Errorf("cannot use card profile %q: known are %s, %s and %s",
		config.Kind, Auto, piv.ProfileName, iso7816.ProfileName)
}

// auto prefers the first profile that finds a store, then the first that knows
// the card. A profile that was tried after the chosen one has selected something
// else, so that the chosen one is opened again.
func auto(profiles ...card.Profile) card.Profile {
	return func(ctx context.Context, ch card.Channel) (card.Medium, error) {
		var fallback card.Profile
		var reasons []error
		for _, open := range profiles {
			m, err := open(ctx, ch)
			switch {
			case errors.Is(err, card.ErrUnsupported):
				reasons = append(reasons, err)
				continue
			case err != nil:
				return nil, err
			}
			layout, err := m.Layout(ctx)
			if err != nil || layout.Formatted {
				return m, err
			}
			if fallback == nil {
				fallback = open
			}
		}
		if fallback == nil {
			return nil, errors.Join(reasons...)
		}
		return fallback(ctx, ch)
	}
}
