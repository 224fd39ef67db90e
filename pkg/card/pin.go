package card

import "context"

// PINState says how a card's PIN stands.
type PINState int

// The states of a PIN.
const (
	PINUnknown PINState = iota // the card cannot be asked, or only at the price of a try
	PINNone                    // the card has no PIN, or does not ask for it
	PINSet
	PINBlocked // no tries are left
)

// String is the state in a word.
func (s PINState) String() string {
	switch s {
	case PINNone:
		return "none"
	case PINSet:
		return "set"
	case PINBlocked:
		return "blocked"
	}
	return "unknown"
}

// PINStatus is what a card tells of its PIN.
type PINStatus struct {
	State    PINState
	Tries    int  // left, -1 if the card does not tell
	Verified bool // in this transaction
}

// PIN is a Medium whose card has a PIN. What VerifyPIN opens stays open to the
// end of the transaction at least. A wrong PIN gives a *PINError, a blocked one
// ErrPINBlocked, one that the card cannot have ErrPINFormat and costs no try,
// and what a card cannot do ErrUnsupported. PINs are bytes, usually ASCII digits.
type PIN interface {
	// PINStatus tells how the PIN stands, as far as that is known without a question that
	// some card might count as a wrong PIN.
	PINStatus(ctx context.Context) (PINStatus, error)

	// QueryPIN asks the card how its PIN stands, before somebody enters it. By the
	// standards that costs no try.
	QueryPIN(ctx context.Context) (PINStatus, error)

	// VerifyPIN shows the PIN to the card, which counts wrong ones.
	VerifyPIN(ctx context.Context, pin []byte) error

	// ChangePIN replaces old, which the card verifies as VerifyPIN does.
	ChangePIN(ctx context.Context, old, new []byte) error

	// UnblockPIN sets a new PIN and gives its tries back. The unblocking code
	// (PUK) has tries of its own: a *PINError tells theirs.
	UnblockPIN(ctx context.Context, puk, new []byte) error

	// SetPIN gives a PIN to a card that has none or does not ask for it.
	SetPIN(ctx context.Context, pin []byte) error

	// ClearPIN makes the card not ask for its PIN any more.
	ClearPIN(ctx context.Context, pin []byte) error
}

// Secret is a Medium whose card keeps a few bytes that it gives away only after
// VerifyPIN in the same transaction.
type Secret interface {
	// Secret reads it. It gives ErrPINNeeded before VerifyPIN, and ErrNoSecret.
	Secret(ctx context.Context) ([]byte, error)

	// SetSecret writes it, nil to forget it. It needs VerifyPIN before, too, to
	// see that it overwrites nothing foreign, and gives ErrForeign otherwise.
	SetSecret(ctx context.Context, secret []byte) error
}
