package piv

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// tagPrinted is the Printed Information, one of the objects that a PIV card gives
// away only after its PIN (SP 800-73-4 part 1, table 2).
const tagPrinted = 0x5FC109

// magicSecret marks a secret of ours, behind tagOurs.
const magicSecret = "RPPS"

// maxSecret is the size of the largest secret, in bytes.
const maxSecret = 128

// Secret implements card.Secret.
func (m *Medium) Secret(ctx context.Context) ([]byte, error) {
	secret, err := m.secret(ctx)
	if err == nil && secret == nil || errors.Is(err, card.ErrForeign) {
		err = card.ErrNoSecret
	}
	return secret, failure("read the secret", err)
}

// secret gives nil for an empty object, ErrForeign for one that is not ours.
func (m *Medium) secret(ctx context.Context) ([]byte, error) {
	raw, err := m.get(ctx, tagPrinted)
	switch {
	case iso7816.IsStatus(err, iso7816.SWSecurity):
		return nil, fmt.Errorf("%w: %w", card.ErrPINNeeded, err)
	case err != nil || raw == nil:
		return nil, err
	}
	value, _ := findTLV(raw, tagValue)
	ours, _ := findTLV(value, tagOurs)
	secret, ok := strings.CutPrefix(string(ours), magicSecret)
	if !ok {
		return nil, card.ErrForeign
	}
	return []byte(secret), nil
}

// SetSecret implements card.Secret. It needs the management key, too.
func (m *Medium) SetSecret(ctx context.Context, secret []byte) error {
	return failure("write the secret", m.setSecret(ctx, secret))
}

func (m *Medium) setSecret(ctx context.Context, secret []byte) error {
	if len(secret) > maxSecret {
		return &card.FullError{Need: len(secret), Have: maxSecret}
	}
	if _, err := m.secret(ctx); err != nil {
		return err
	}
	if err := m.authorize(ctx); err != nil {
		return err
	}
	var contents []byte
	if len(secret) > 0 {
		contents = wrap(magicSecret, secret)
	}
	if err := m.put(ctx, tagPrinted, contents); err != nil {
		return m.explain(ctx, err)
	}
	return nil
}

var _ card.Secret = (*Medium)(nil)
