package busapi

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	busfiles "github.com/reprovision/reprovision/dbus"
)

// Device is reprovisiond's object on the bus.
type Device struct {
	*server
	backend   DeviceBackend
	prompt    time.Duration // how long the owner has to answer
	questions *questions
	seats     seats

	mu       sync.Mutex
	progress Progress // as last told
}

// NewDevice makes the object; it starts nothing. The connection is the
// daemon's own, from Connect, and must export nothing else while Run runs.
func NewDevice(conn *dbus.Conn, backend DeviceBackend, log *slog.Logger) *Device {
	d := &Device{
		server:  newServer(conn, log, DeviceName, DevicePath, busfiles.DeviceInterface),
		backend: backend,
		prompt:  promptTime,
		seats:   seats{conn},
	}
	d.questions = &questions{now: time.Now, changed: d.Refresh}
	return d
}

// Run serves until ctx ends, which gives nil. It exports everything before it
// claims the name; ErrNameTaken when another process has it. Run is for once.
func (d *Device) Run(ctx context.Context) error { return d.run(ctx, d.methods(), d.update) }

// Prompter asks through the default agents, for what the daemon does by itself. Where
// none can answer it waits for one, as long as the context lasts; ErrNoAgent when the
// owner was asked and did not answer in time.
func (d *Device) Prompter() Prompter { return d.PrompterUntil(context.Background()) }

// PrompterUntil is a Prompter whose prompts end with a context, too.
func (d *Device) PrompterUntil(ctx context.Context) Prompter {
	p := d.prompter(func(context.Context) party { return party{} })
	p.patient, p.until = true, ctx
	return p
}

// prompterFor asks for a caller, who waits, and so the prompter does not.
func (d *Device) prompterFor(caller dbus.Sender) Prompter {
	return d.prompter(func(ctx context.Context) party { return d.partyOf(ctx, string(caller)) })
}

func (d *Device) prompter(caller func(context.Context) party) *prompter {
	return &prompter{
		conn: d.conn, agents: &d.agents, questions: d.questions, seats: d.seats, log: d.log,
		caller: caller, timeout: d.prompt,
	}
}

// Questions are those to the owner that are open, oldest first.
func (d *Device) Questions() []QuestionInfo { return d.questions.list() }

// AgentArrival is closed when another agent answers for the owner than so far.
func (d *Device) AgentArrival() <-chan struct{} { return d.agents.arrival() }

// partyOf tells whose a connection is.
func (d *Device) partyOf(ctx context.Context, sender string) party {
	p := party{sender: sender}
	if uid, err := d.authority.userOf(ctx, sender); err == nil {
		p.uid, p.known = uid, true
		p.session = d.seats.sessionOf(ctx, sender)
	}
	return p
}

// SetProgress tells everyone how far an operation is, by a signal and the properties; the
// zero Progress says that it has ended. It holds no names.
func (d *Device) SetProgress(p Progress) {
	d.mu.Lock()
	d.progress = p
	d.mu.Unlock()
	d.Refresh()
	if p.Operation == "" {
		return
	}
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
		"Questions": questionKinds(st.Questions),
	}
	maps.Copy(props, autoBackupProps(st.AutoBackup))
	props["Functions"] = functionsProp(st.Authorization)
	maps.Copy(props, d.progressProps())
	return d.tree.setRoot(props)
}

func (d *Device) progressProps() map[string]any {
	d.mu.Lock()
	p := d.progress
	d.mu.Unlock()
	if p.Operation == "" {
		p.TimeLeft = -1
	}
	return map[string]any{
		"ProgressOperation": toBus(p.Operation), "ProgressDone": p.Done, "ProgressTotal": p.Total,
		"ProgressRate": p.Rate, "ProgressTimeLeft": p.TimeLeft,
	}
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

// registerAgent takes a client's agent. It answers that client's own calls, and those
// of its user's other programs.
func (d *Device) registerAgent(ctx context.Context, sender string, path dbus.ObjectPath) error {
	if !path.IsValid() {
		return fmt.Errorf("%w: %q is not an object path", ErrInvalidArguments, cut(string(path), 64))
	}
	if err := d.agents.add(&agent{party: d.partyOf(ctx, sender), path: path, turn: make(chan struct{}, 1)}); err != nil {
		return err
	}
	if ctx.Err() != nil { // left meanwhile, perhaps before it was on the list
		d.agents.left(sender)
	}
	return ctx.Err()
}

// agentOptions are those of RequestDefaultAgent.
type agentOptions struct {
	Quiet bool `json:"quiet"` // polkit must not ask a person
}

// defaultAgent has a client's agent answer for the owner, if polkit lets it.
func (d *Device) defaultAgent(ctx context.Context, sender string, path dbus.ObjectPath, o agentOptions) error {
	if err := d.authority.allow(ctx, sender, actionAgent, !o.Quiet); err != nil {
		return err
	}
	return d.agents.appoint(sender, path)
}
