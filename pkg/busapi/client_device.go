package busapi

import (
	"context"

	"github.com/godbus/dbus/v5"

	busfiles "github.com/reprovision/reprovision/dbus"
)

// DeviceClient makes calls to reprovisiond. Its methods mirror DeviceBackend;
// their errors wrap the daemon's sentinels.
type DeviceClient struct{ *client }

// DialDevice connects to reprovisiond on DeviceBus(env). With start set the bus
// may start the daemon. ErrNotRunning when it is not there.
func DialDevice(ctx context.Context, env func(string) string, start bool) (*DeviceClient, error) {
	c, err := dial(ctx, DeviceBus(env), DeviceName, DevicePath, busfiles.DeviceInterface, start)
	if err != nil {
		return nil, err
	}
	return &DeviceClient{c}, nil
}

// Status asks for the device's status. It needs no authorisation.
func (c *DeviceClient) Status(ctx context.Context) (DeviceStatus, error) {
	return callDict[DeviceStatus](ctx, c.client, "Status")
}

// Pair pairs with the reader of the address (FIG. 4). The passcode is asked
// from this connection's agent, see ServeAgent, or from the default one.
func (c *DeviceClient) Pair(ctx context.Context, address string) (PeerInfo, error) {
	return callDict[PeerInfo](ctx, c.client, "Pair", argToBus(address), clientCodec().encode(noOptions{}))
}

// Unpair forgets the reader; told is false when the reader was out of range.
func (c *DeviceClient) Unpair(ctx context.Context) (told bool, err error) {
	err = c.call(ctx, "Unpair", nil, &told)
	return told, err
}

// Backup sends a data set now (step 524).
func (c *DeviceClient) Backup(ctx context.Context, full bool) (BackupResult, error) {
	return callDict[BackupResult](ctx, c.client, "Backup", clientCodec().encode(backupOptions{Full: full}))
}

// Snapshots lists the snapshots at the reader.
func (c *DeviceClient) Snapshots(ctx context.Context) ([]SnapshotInfo, error) {
	return callList[SnapshotInfo](ctx, c.client, "Snapshots")
}

// SnapshotItems lists the items of a snapshot, all of them, in as many calls as
// that takes.
func (c *DeviceClient) SnapshotItems(ctx context.Context, id string) ([]ItemInfo, error) {
	return allPages(func(o Dict) ([]ItemInfo, error) {
		return callList[ItemInfo](ctx, c.client, "SnapshotItems", argToBus(id), o)
	})
}

// SnapshotDiff lists how two snapshots differ, all of it, in as many calls as that takes.
func (c *DeviceClient) SnapshotDiff(ctx context.Context, from, to string) ([]ItemChange, error) {
	return allPages(func(o Dict) ([]ItemChange, error) {
		return callList[ItemChange](ctx, c.client, "SnapshotDiff", argToBus(from), argToBus(to), o)
	})
}

// allPages asks for one page after the other until there is none.
func allPages[T any](ask func(options Dict) ([]T, error)) ([]T, error) {
	all := []T{}
	for {
		page, err := ask(clientCodec().encode(itemOptions{Offset: int64(len(all))}))
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
	}
}

// Verify is a restore drill over about that many bytes; 0 for as many as the daemon's
// settings say.
func (c *DeviceClient) Verify(ctx context.Context, bytes int64) (VerifyResult, error) {
	return callDict[VerifyResult](ctx, c.client, "Verify", clientCodec().encode(verifyOptions{Bytes: bytes}))
}

// Check gives the verdicts on all items now; deep re-reads every byte.
func (c *DeviceClient) Check(ctx context.Context, deep bool) (CheckResult, error) {
	return callDict[CheckResult](ctx, c.client, "Check", clientCodec().encode(checkOptions{Deep: deep}))
}

// Reprovision restores (FIG. 6).
func (c *DeviceClient) Reprovision(ctx context.Context, req ReprovisionRequest) (ReprovisionResult, error) {
	return callDict[ReprovisionResult](ctx, c.client, "Reprovision", clientCodec().encode(req))
}

// Forget says that the owner meant the deletion or change of these paths or
// item names; it returns for how many items that holds.
func (c *DeviceClient) Forget(ctx context.Context, paths []string) (n int64, err error) {
	texts := make([]string, len(paths))
	for i, p := range paths {
		texts[i] = argToBus(p)
	}
	err = c.call(ctx, "Forget", []any{texts}, &n)
	return n, err
}

// SetPasscode sets the reprovisioning passcode, which is asked from this connection's
// agent or from the default one.
func (c *DeviceClient) SetPasscode(ctx context.Context, req PasscodeRequest) (PasscodeResult, error) {
	return callDict[PasscodeResult](ctx, c.client, "SetPasscode", clientCodec().encode(req))
}

// ClearPasscode takes the reprovisioning passcode away.
func (c *DeviceClient) ClearPasscode(ctx context.Context) (PasscodeResult, error) {
	return callDict[PasscodeResult](ctx, c.client, "ClearPasscode")
}

// NewRecoveryCode makes a recovery code, in place of the one before.
func (c *DeviceClient) NewRecoveryCode(ctx context.Context) (RecoveryCode, error) {
	return callDict[RecoveryCode](ctx, c.client, "NewRecoveryCode")
}

// WatchProgress calls fn, from one goroutine, for each Progress of the daemon
// until stop is called or the connection ends.
func (c *DeviceClient) WatchProgress(fn func(Progress)) (stop func(), err error) {
	signals, unlisten, err := listen(c.conn, []dbus.MatchOption{
		dbus.WithMatchSender(c.owner), dbus.WithMatchObjectPath(c.path),
		dbus.WithMatchInterface(c.iface), dbus.WithMatchMember("Progress"),
	})
	if err != nil {
		return nil, err
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case s, open := <-signals:
				if !open {
					return
				}
				if p, ok := c.progress(s); ok {
					fn(p)
				}
			}
		}
	}()
	return func() { close(done); <-ended; unlisten() }, nil
}

func (c *DeviceClient) progress(s *dbus.Signal) (Progress, bool) {
	if s.Sender != c.owner || s.Name != c.iface+".Progress" {
		return Progress{}, false
	}
	var operation string
	var done, total uint64
	if err := dbus.Store(s.Body, &operation, &done, &total); err != nil {
		return Progress{}, false
	}
	return Progress{Operation: operation, Done: clamp(done), Total: clamp(total)}, true
}

func clamp(n uint64) int64 { return int64(min(n, 1<<63-1)) }

// ServeAgent exports an agent that answers the daemon's prompts with p and
// registers it, for this connection's own calls and those of its user's other
// programs. stop takes it back and waits until no prompt is open; the context that p
// gets has ended by then, so p must heed it.
func (c *DeviceClient) ServeAgent(ctx context.Context, p Prompter) (stop func(), err error) {
	a := newClientAgent(ctx, c.owner, p)
	if err := c.register(ctx, a); err != nil {
		return nil, err
	}
	return func() {
		a.close()
		// The daemon may be gone, and the registration with it.
		_ = c.call(ctx, "UnregisterAgent", []any{AgentPath})
	}, nil
}
