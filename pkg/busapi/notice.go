package busapi

import (
	"github.com/godbus/dbus/v5"

	busfiles "github.com/reprovision/reprovision/dbus"
)

// AutoBackupQuestion is what step 514 asks about.
type AutoBackupQuestion struct {
	Reader string `json:"reader"` // the reader's name
	Every  int64  `json:"every"`  // what is proposed: seconds between two backups
	Mode   string `json:"mode"`   // and full or incremental
}

// PairingQuestion says why a pairing is asked for (step 522).
type PairingQuestion struct {
	LastBackup int64  `json:"last_backup"` // seconds since the epoch; 0 never
	Overdue    bool   `json:"overdue"`
	Retry      bool   `json:"retry"`  // the pairing before failed
	Reason     string `json:"reason"` // for that; empty unless retry
}

// Levels of a notice.
const (
	NoticeInfo    = "info"
	NoticeWarning = "warning" // something is for the owner to do
)

// Notice is something that the owner should hear of and need not answer. It holds
// no names of items.
type Notice struct {
	Kind  string `json:"kind"`  // reader, overdue, offer, restored, unrestored
	Level string `json:"level"` // info or warning
	Text  string `json:"text"`  // a sentence
}

// Notifier is a Prompter that shows notices, too. Notify returns soon.
type Notifier interface {
	Notify(n Notice)
}

// Notify tells every agent that answers for the owner. Nothing waits for them.
func (d *Device) Notify(n Notice) {
	dict := serverCodec().encode(n)
	for _, a := range d.agents.owners() {
		d.conn.Object(a.sender, a.path).Call(busfiles.AgentInterface+".Notify", dbus.FlagNoReplyExpected, dict)
	}
}
