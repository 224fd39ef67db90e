package busapi

import (
	"context"

	"github.com/godbus/dbus/v5"
)

// actionAuthorization lets a caller have functions of the device on without the card.
const actionAuthorization = "org.reprovision.device.authorization"

// AuthorizationInfo is what the card in its owner's pocket keeps on (paragraph 29).
type AuthorizationInfo struct {
	State string `json:"state"` // off (it governs nothing), enabled, expiring, override, disabled
	// Reason is proven, or what is in the way of a proof: boot, card-out, other-card,
	// unproven, no-record, no-answer, out-of-range, reader-restarted, daemon-restarted,
	// unpaired, suspend, clock-changed; empty while State is off.
	Reason string `json:"reason"`
	// Since, Expires, LastProof and Override are moments by the device's clock, seconds
	// since the epoch; 0 for none. They are reckoned anew each time, from a clock that nobody
	// can set.
	Since     int64          `json:"since"`      // when State became what it is
	Expires   int64          `json:"expires"`    // when the functions go off unless the card proves anew
	LastProof int64          `json:"last_proof"` // since the boot
	Override  int64          `json:"override"`   // end of an administrator's word
	Heartbeat float64        `json:"heartbeat"`  // seconds
	Grace     float64        `json:"grace"`      // seconds
	Functions []FunctionInfo `json:"functions"`
}

// FunctionInfo is one function of the device that the card keeps on.
type FunctionInfo struct {
	Function string `json:"function"` // units, sessions
	State    string `json:"state"`    // enabled, disabled, switching, failed
	Reason   string `json:"reason"`   // as that of the whole
	Expires  int64  `json:"expires"`  // as that of the whole
	Error    string `json:"error"`    // why it could not be switched
}

// AuthorizationOverride says for how long an administrator has the functions on.
type AuthorizationOverride struct {
	Seconds int64 `json:"seconds"`
}

func (d *Device) callAuthorization(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "Authorization", actionNone, d.backend.Authorization)
}

func (d *Device) callAuthorizationOverride(sender dbus.Sender, options Dict) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "AuthorizationOverride", actionAuthorization, func(ctx context.Context) (AuthorizationInfo, error) {
		var o AuthorizationOverride
		if err := serverCodec().decode(options, &o); err != nil {
			return AuthorizationInfo{}, err
		}
		return d.backend.OverrideAuthorization(ctx, o)
	})
}

func (d *Device) callAuthorizationResume(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "AuthorizationResume", actionAuthorization, d.backend.ResumeAuthorization)
}

// functionRow is a line of the property Functions.
type functionRow struct {
	Function, State, Reason string
	Expires                 int64
}

// functionsProp is the table of the functions. While heartbeats are answered the end
// moves with each of them, and is left out: a property that changes with every look
// would wake up whoever watches it.
func functionsProp(i *AuthorizationInfo) []functionRow {
	rows := []functionRow{}
	if i == nil {
		return rows
	}
	for _, f := range i.Functions {
		row := functionRow{toBus(f.Function), toBus(f.State), toBus(f.Reason), f.Expires}
		if i.State == "enabled" {
			row.Expires = 0
		}
		rows = append(rows, row)
	}
	return rows
}

// Authorization asks what the card keeps on. It needs no authorisation.
func (c *DeviceClient) Authorization(ctx context.Context) (AuthorizationInfo, error) {
	return callDict[AuthorizationInfo](ctx, c.client, "Authorization")
}

// OverrideAuthorization has the functions on without the card for a time.
func (c *DeviceClient) OverrideAuthorization(ctx context.Context, o AuthorizationOverride) (AuthorizationInfo, error) {
	return callDict[AuthorizationInfo](ctx, c.client, "AuthorizationOverride", clientCodec().encode(o))
}

// ResumeAuthorization takes an override back.
func (c *DeviceClient) ResumeAuthorization(ctx context.Context) (AuthorizationInfo, error) {
	return callDict[AuthorizationInfo](ctx, c.client, "AuthorizationResume")
}
