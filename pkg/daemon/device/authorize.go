package device

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/enforce"
)

// returnTime bounds the first call to systemd.
const returnTime = 3 * time.Second

// guardFunctions runs what keeps functions of the device on while the card allows
// it, where the settings choose any.
func (d *Daemon) guardFunctions(ctx context.Context, group *errgroup.Group) {
	g := d.guard
	if !g.cfg.Governing() {
		return
	}
	if g.units != nil {
		bounded, cancel := context.WithTimeout(ctx, returnTime) // before anything is switched on again
		if err := g.units.Return(bounded); err != nil {
			d.log.Warn("cannot tell systemd that this daemon is there again", "error", err)
		}
		cancel()
	}
	for _, l := range g.levers {
		group.Go(func() error { return l.Run(ctx) })
		if g.sessions != nil && l.Name() == config.FunctionSessions {
			group.Go(func() error { return g.sessions.Run(ctx, l.Again) })
		}
	}
	group.Go(func() error { return g.alarm.Run(ctx) })
	group.Go(func() error { return g.watch(ctx) })
}

// tellAuthorization tells whoever listens that it stands otherwise now.
func (d *Daemon) tellAuthorization(was, is authorization.State) {
	fields := map[string]any{
		"state": string(is.Phase()), "reason": string(is.Why), "was": string(was.Phase()), "was_reason": string(was.Why),
	}
	if is.Ends() > 0 {
		fields["expires"] = moment(is, is.Ends())
	}
	d.event("authorization", fields)
	d.log.Info("the authorization has changed", "state", is.Phase(), "reason", is.Why, "was", was.Phase(), "was_reason", was.Why)
	d.bus.Refresh()
}

// moment is a time of the state's boot by people's clock, seconds since the epoch;
// 0 for 0.
func moment(s authorization.State, up time.Duration) int64 {
	if up == 0 {
		return 0
	}
	return s.Seen.Wall.Add(up - s.Seen.Up).Unix()
}

// noSession takes note of why there is no session with the reader.
func (d *Daemon) noSession(err error) {
	switch {
	case errors.Is(err, errAside): // soon there will be one
	case errors.Is(err, busapi.ErrNotPaired):
		d.guard.missed(authorization.Unpaired)
	default:
		d.guard.missed(authorization.OutOfRange)
	}
}

// wanting tells whether functions would be on, or stay on, if the reader came.
func (g *guard) wanting() bool {
	return g.cfg.Governing() && g.current().Phase() != authorization.Enabled
}

// info is how the authorization stands.
func (g *guard) info() busapi.AuthorizationInfo {
	i := busapi.AuthorizationInfo{
		State: "off", Heartbeat: g.cfg.Heartbeat.Seconds(), Grace: g.cfg.Grace.Seconds(), Functions: []busapi.FunctionInfo{},
	}
	if !g.cfg.Governing() {
		return i
	}
	s := g.current()
	i.State, i.Reason, i.Since = string(s.Phase()), string(s.Why), moment(s, s.Since)
	i.LastProof, i.Override, i.Expires = moment(s, s.Asked), moment(s, s.Until), moment(s, s.Ends())
	for _, l := range g.levers {
		i.Functions = append(i.Functions, functionInfo(l, i))
	}
	return i
}

// functionInfo is one line of the table. What cannot be switched is said to be so,
// for nobody knows how it is.
func functionInfo(l *enforce.Lever, i busapi.AuthorizationInfo) busapi.FunctionInfo {
	f := busapi.FunctionInfo{Function: l.Name(), State: "disabled", Reason: i.Reason, Expires: i.Expires}
	on, done, err := l.State()
	switch {
	case err != nil:
		f.State, f.Error = "failed", summary(err)
	case !done:
		f.State = "switching"
	case on:
		f.State = "enabled"
	}
	return f
}

// Authorization tells what the card keeps on.
func (d *Daemon) Authorization(context.Context) (busapi.AuthorizationInfo, error) {
	return d.guard.info(), nil
}

// OverrideAuthorization has the functions on for some time without the card: an
// administrator's way back in where the card or the reader is lost.
func (d *Daemon) OverrideAuthorization(_ context.Context, o busapi.AuthorizationOverride) (busapi.AuthorizationInfo, error) {
	most := int64(authorization.MaxOverride / time.Second)
	switch {
	case !d.cfg.Authorization.Governing():
		return busapi.AuthorizationInfo{}, fmt.Errorf("%w: the settings choose no functions, so none is off", busapi.ErrInvalidArguments)
	case o.Seconds < 1 || o.Seconds > most:
		return busapi.AuthorizationInfo{}, fmt.Errorf("%w: %d seconds; want 1 to %d", busapi.ErrInvalidArguments, o.Seconds, most)
	}
	d.log.Warn("an administrator has the functions on without the card", "seconds", o.Seconds)
	e := authorization.Event{Kind: authorization.Allowed, For: time.Duration(o.Seconds) * time.Second}
	return d.decided(e, map[string]any{"override": true, "seconds": o.Seconds})
}

// ResumeAuthorization takes an override back.
func (d *Daemon) ResumeAuthorization(context.Context) (busapi.AuthorizationInfo, error) {
	return d.decided(authorization.Event{Kind: authorization.Revoked}, map[string]any{"override": false})
}

func (d *Daemon) decided(e authorization.Event, told map[string]any) (busapi.AuthorizationInfo, error) {
	if err := d.guard.happened(e); err != nil {
		return busapi.AuthorizationInfo{}, err
	}
	d.event("authorization", told)
	d.bus.Refresh()
	return d.guard.info(), nil
}
