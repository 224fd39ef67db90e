package busapi

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/godbus/dbus/v5"

	busfiles "github.com/reprovision/reprovision/dbus"
)

// Device is reprovisiond's object on the bus.
type Device struct {
	*server
	backend DeviceBackend
	prompt  time.Duration // how long the owner has to answer
}

// NewDevice makes the object; it starts nothing. The connection is the
// daemon's own, from Connect, and must export nothing else while Run runs.
func NewDevice(conn *dbus.Conn, backend DeviceBackend, log *slog.Logger) *Device {
	return &Device{
		server:  newServer(conn, log, DeviceName, DevicePath, busfiles.DeviceInterface),
		backend: backend,
		prompt:  promptTime,
	}
}

// Run serves until ctx ends, which gives nil. It exports everything before it
// claims the name; ErrNameTaken when another process has it. Run is for once.
func (d *Device) Run(ctx context.Context) error { return d.run(ctx, d.methods(), d.update) }

// Prompter asks through the default agent, for what the daemon does by itself.
func (d *Device) Prompter() Prompter { return d.prompterFor("") }

func (d *Device) prompterFor(caller dbus.Sender) Prompter {
	return &prompter{conn: d.conn, agents: &d.agents, log: d.log, caller: string(caller), timeout: d.prompt}
}

// SetProgress tells everyone how far an operation is. It holds no names.
func (d *Device) SetProgress(p Progress) {
	done, total := uint64(max(p.Done, 0)), uint64(max(p.Total, 0))
	if err := d.conn.Emit(d.path, d.iface+".Progress", toBus(p.Operation), done, total); err != nil {
		d.log.Debug("cannot emit progress", "error", err)
	}
}

// update reads the status into the properties and the peer's object.
func (d *Device) update(ctx context.Context) error {
	st, err := d.backend.Status(ctx)
	if err != nil {
		return err
	}
	peers := make(map[string]object)
	if st.Reader != nil {
		peers[st.Reader.ID] = peerObject(*st.Reader)
	}
	if err := d.tree.setChildren("peer", peers); err != nil {
		return err
	}
	if !st.Paired {
		if err := d.tree.setChildren("snapshot", nil); err != nil {
			return err
		}
	}
	props := map[string]any{
		"Name": toBus(st.Name), "Paired": st.Paired, "InRange": st.InRange, "Activity": toBus(st.Activity),
		"LastBackup": st.LastBackup, "Damaged": st.Damaged, "Waiting": toBus(st.Waiting),
	}
	maps.Copy(props, autoBackupProps(st.AutoBackup))
	props["Functions"] = functionsProp(st.Authorization)
	return d.tree.setRoot(props)
}

func snapshotObject(s SnapshotInfo) object {
	return object{iface: busfiles.SnapshotInterface, props: map[string]any{
		"Id": toBus(s.ID), "Parent": toBus(s.Parent), "Seq": s.Seq, "Created": s.Created,
		"Mode": toBus(s.Mode), "Items": s.Items, "Bytes": s.Bytes, "Stored": s.Stored,
	}}
}

func (d *Device) snapshots(ctx context.Context) ([]SnapshotInfo, error) {
	list, err := d.backend.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	budget := MaxAnswer
	if _, dropped := fit(list, &budget, costOfSnapshot); dropped > 0 {
		return nil, fmt.Errorf("%w: %d snapshots are too many for one message", ErrFailed, len(list))
	}
	children := make(map[string]object, len(list))
	for _, s := range list {
		children[s.ID] = snapshotObject(s)
	}
	return list, d.tree.setChildren("snapshot", children)
}

// itemOptions are those of SnapshotItems and SnapshotDiff.
type itemOptions struct {
	Offset int64 `json:"offset"` // how many items to pass over
}

// snapshotItems answers with as many items from the offset on as one message
// holds; none means that the end is reached.
func (d *Device) snapshotItems(ctx context.Context, id string, o itemOptions) ([]ItemInfo, error) {
	list, err := d.backend.SnapshotItems(ctx, id)
	if err != nil {
		return nil, err
	}
	return pageOf(list, o, costOfItem)
}

// snapshotDiff answers in pages, as snapshotItems does.
func (d *Device) snapshotDiff(ctx context.Context, from, to string, o itemOptions) ([]ItemChange, error) {
	list, err := d.backend.SnapshotDiff(ctx, from, to)
	if err != nil {
		return nil, err
	}
	return pageOf(list, o, costOfChange)
}

// pageOf is as much of a list from the offset on as one message holds.
func pageOf[T any](list []T, o itemOptions, cost func(T) int) ([]T, error) {
	if o.Offset < 0 {
		return nil, fmt.Errorf("%w: offset %d is negative", ErrInvalidArguments, o.Offset)
	}
	if o.Offset >= int64(len(list)) {
		return nil, nil
	}
	budget := MaxAnswer
	page, _ := fit(list[o.Offset:], &budget, cost)
	return page, nil
}

// registerAgent takes a client's agent. It answers that client's own calls in
// any case, and prompts for the owner only if the client may reprovision.
func (d *Device) registerAgent(ctx context.Context, sender dbus.Sender, path dbus.ObjectPath) error {
	if !path.IsValid() {
		return fmt.Errorf("%w: %q is not an object path", ErrInvalidArguments, cut(string(path), 64))
	}
	trusted := d.authority.allow(ctx, string(sender), actionReprovision, false) == nil
	err := d.agents.add(&agent{sender: string(sender), path: path, trusted: trusted, turn: make(chan struct{}, 1)})
	if err != nil {
		return err
	}
	if ctx.Err() != nil { // left meanwhile, perhaps before it was on the list
		d.agents.left(string(sender))
	}
	return ctx.Err()
}
