package busapi

import (
	"context"
	"log/slog"

	"github.com/godbus/dbus/v5"

	busfiles "github.com/reprovision/reprovision/dbus"
)

// Reader is scrd's object on the bus.
type Reader struct {
	*server
	backend ReaderBackend
}

// NewReader makes the object; it starts nothing. The connection is the daemon's
// own, from Connect, and must export nothing else while Run runs.
func NewReader(conn *dbus.Conn, backend ReaderBackend, log *slog.Logger) *Reader {
	return &Reader{
		server:  newServer(conn, log, ReaderName, ReaderPath, busfiles.ReaderInterface),
		backend: backend,
	}
}

// Run serves until ctx ends, which gives nil. It exports everything before it
// claims the name; ErrNameTaken when another process has it. Run is for once.
func (r *Reader) Run(ctx context.Context) error { return r.run(ctx, r.methods(), r.update) }

// update reads the status into the properties and the objects of the devices.
func (r *Reader) update(ctx context.Context) error {
	st, err := r.backend.Status(ctx)
	if err != nil {
		return err
	}
	peers := make(map[string]object, len(st.Devices))
	for _, p := range st.Devices {
		peers[p.ID] = peerObject(p)
	}
	if err := r.tree.setChildren("peer", peers); err != nil {
		return err
	}
	return r.tree.setRoot(map[string]any{
		"Name": toBus(st.Name), "Address": toBus(st.Address), "PairingOpen": st.PairingOpen,
		"CardState": toBus(st.Card.State), "Stored": st.Stored,
	})
}

// methods is the table of org.reprovision.Reader1. dbus/org.reprovision.Reader1.xml
// describes the same, and a test compares them.
func (r *Reader) methods() map[string]any {
	table := map[string]any{
		"Status": r.callStatus, "Press": r.callPress, "Display": r.callDisplay, "Devices": r.callDevices,
		"ForgetDevice": r.callForgetDevice, "CardStatus": r.callCardStatus, "CardInit": r.callCardInit,
		"CardVerify": r.callCardVerify, "CardPin": r.callCardPIN, "CardPinSet": r.pinCall("CardPinSet", ReaderBackend.CardSetPIN),
		"CardPinChange": r.pinCall("CardPinChange", ReaderBackend.CardChangePIN),
		"CardPinClear":  r.pinCall("CardPinClear", ReaderBackend.CardClearPIN),
	}
	r.subscription(actionDisplay, table)
	return table
}

func (r *Reader) callStatus(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(r.server, sender, "Status", actionNone, r.backend.Status)
}

// callPress is the button (step 410).
func (r *Reader) callPress(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(r.server, sender, "Press", actionPress, r.backend.Press)
}

func (r *Reader) callDisplay(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(r.server, sender, "Display", actionDisplay, r.backend.Display)
}

func (r *Reader) callDevices(sender dbus.Sender) ([]Dict, *dbus.Error) {
	return serveList(r.server, sender, "Devices", actionNone, r.backend.Devices)
}

func (r *Reader) callForgetDevice(sender dbus.Sender, device string) *dbus.Error {
	return serveNothing(r.server, sender, "ForgetDevice", actionForgetPeer, func(ctx context.Context) error {
		if err := checkTexts("device", device); err != nil {
			return err
		}
		return r.backend.Forget(ctx, fromBus(device))
	})
}

func (r *Reader) callCardStatus(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(r.server, sender, "CardStatus", actionNone, r.backend.CardStatus)
}

func (r *Reader) callCardInit(sender dbus.Sender, options Dict) (Dict, *dbus.Error) {
	return serveDict(r.server, sender, "CardInit", actionCard, func(ctx context.Context) (CardInfo, error) {
		var o CardChoice
		if err := serverCodec().decode(options, &o); err != nil {
			return CardInfo{}, err
		}
		return r.backend.CardInit(ctx, o)
	})
}

func (r *Reader) callCardPIN(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(r.server, sender, "CardPin", actionPIN, r.backend.CardPIN)
}

// pinChange is a method of the backend that takes codes.
type pinChange func(ReaderBackend, context.Context, PINCodes) (PINInfo, error)

// pinCall serves such a method. The codes are in no log and in no error.
func (r *Reader) pinCall(method string, do pinChange) func(dbus.Sender, Dict) (Dict, *dbus.Error) {
	return func(sender dbus.Sender, options Dict) (Dict, *dbus.Error) {
		return serveDict(r.server, sender, method, actionPIN, func(ctx context.Context) (PINInfo, error) {
			var codes PINCodes
			if err := serverCodec().decode(options, &codes); err != nil {
				return PINInfo{}, err
			}
			return do(r.backend, ctx, codes)
		})
	}
}

func (r *Reader) callCardVerify(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(r.server, sender, "CardVerify", actionCard, r.backend.CardVerify)
}
