package busapi

import (
	"context"

	busfiles "github.com/reprovision/reprovision/dbus"
)

// ReaderClient makes calls to scrd. Its methods mirror ReaderBackend; their
// errors wrap the daemon's sentinels.
type ReaderClient struct{ *client }

// DialReader connects to scrd on ReaderBus(env). With start set the bus may
// start the daemon. ErrNotRunning when it is not there.
func DialReader(ctx context.Context, env func(string) string, start bool) (*ReaderClient, error) {
	c, err := dial(ctx, ReaderBus(env), ReaderName, ReaderPath, busfiles.ReaderInterface, start)
	if err != nil {
		return nil, err
	}
	return &ReaderClient{c}, nil
}

// Status asks for the reader's status. It needs no authorisation.
func (c *ReaderClient) Status(ctx context.Context) (ReaderStatus, error) {
	return callDict[ReaderStatus](ctx, c.client, "Status")
}

// Press presses the button (step 410) and returns what the display then shows.
func (c *ReaderClient) Press(ctx context.Context) (DisplayInfo, error) {
	return callDict[DisplayInfo](ctx, c.client, "Press")
}

// Display returns what the display shows.
func (c *ReaderClient) Display(ctx context.Context) (DisplayInfo, error) {
	return callDict[DisplayInfo](ctx, c.client, "Display")
}

// Devices lists the paired devices.
func (c *ReaderClient) Devices(ctx context.Context) ([]PeerInfo, error) {
	return callList[PeerInfo](ctx, c.client, "Devices")
}

// Forget makes the reader forget a device, by id or name.
func (c *ReaderClient) Forget(ctx context.Context, device string) error {
	return c.call(ctx, "ForgetDevice", []any{argToBus(device)})
}

// CardStatus tells the state of the smart card.
func (c *ReaderClient) CardStatus(ctx context.Context) (CardInfo, error) {
	return callDict[CardInfo](ctx, c.client, "CardStatus")
}

// CardInit prepares the card that choice says.
func (c *ReaderClient) CardInit(ctx context.Context, choice CardChoice) (CardInfo, error) {
	return callDict[CardInfo](ctx, c.client, "CardInit", clientCodec().encode(choice))
}

// CardVerify reads the whole card back.
func (c *ReaderClient) CardVerify(ctx context.Context) (CardReport, error) {
	return callDict[CardReport](ctx, c.client, "CardVerify")
}

// CardPIN asks the card how its PIN stands, which costs no try.
func (c *ReaderClient) CardPIN(ctx context.Context) (PINInfo, error) {
	return callDict[PINInfo](ctx, c.client, "CardPin")
}

// CardSetPIN gives a PIN to a card without, or, with the PUK, a new one to a
// card whose PIN is blocked or forgotten. ErrWrongPIN and ErrPINBlocked are
// about the PUK then.
func (c *ReaderClient) CardSetPIN(ctx context.Context, codes PINCodes) (PINInfo, error) {
	return callDict[PINInfo](ctx, c.client, "CardPinSet", clientCodec().encode(codes))
}

// CardChangePIN replaces the card's PIN; ErrWrongPIN, ErrPINBlocked.
func (c *ReaderClient) CardChangePIN(ctx context.Context, codes PINCodes) (PINInfo, error) {
	return callDict[PINInfo](ctx, c.client, "CardPinChange", clientCodec().encode(codes))
}

// CardClearPIN makes the card not ask for its PIN any more; ErrWrongPIN,
// ErrPINBlocked.
func (c *ReaderClient) CardClearPIN(ctx context.Context, codes PINCodes) (PINInfo, error) {
	return callDict[PINInfo](ctx, c.client, "CardPinClear", clientCodec().encode(codes))
}
