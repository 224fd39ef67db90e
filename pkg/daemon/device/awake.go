package device

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// logind's signal before and after the machine sleeps.
const (
	logindInterface = "org.freedesktop.login1.Manager"
	logindMember    = "PrepareForSleep"
)

// awake has the link looked after when the machine wakes from sleep. A link that
// died meanwhile would else be noticed only by its silence, for the clocks of
// both ends stood still or ran apart. Anybody may send this signal; all that
// comes of it is a sign of life.
func (d *Daemon) awake(ctx context.Context) error {
	signals := make(chan *dbus.Signal, 4)
	d.conn.Signal(signals)
	defer d.conn.RemoveSignal(signals)
	rule := []dbus.MatchOption{dbus.WithMatchInterface(logindInterface), dbus.WithMatchMember(logindMember)}
	if err := d.conn.AddMatchSignalContext(ctx, rule...); err != nil {
		return fmt.Errorf("cannot listen to the bus: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s, ok := <-signals:
			if !ok {
				return nil // the connection is gone, and others say so
			}
			if s.Name == logindInterface+"."+logindMember && len(s.Body) == 1 && s.Body[0] == false {
				d.log.Info("awake again")
				d.keeper.probe(ctx)
			}
		}
	}
}
