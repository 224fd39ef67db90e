package busapi

import (
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// Names and paths on the bus.
const (
	DeviceName = "org.reprovision.Device"
	ReaderName = "org.reprovision.Reader"

	DevicePath dbus.ObjectPath = "/org/reprovision/Device"
	ReaderPath dbus.ObjectPath = "/org/reprovision/Reader"
	AgentPath  dbus.ObjectPath = "/org/reprovision/agent" // where ServeAgent exports its agent
)

// MaxAnswer is how many bytes the lists in one answer may take on the bus. A
// bus daemon drops a connection that sends a message of more than 32 MiB, so
// longer lists are cut and counted in the field truncated; counts stay whole.
const MaxAnswer = 16 << 20

// Limits on what callers send and hold.
const (
	maxText       = 3 * 4096         // bytes of a string: PATH_MAX, each byte escaped
	maxList       = 4096             // entries of a list
	maxPasscode   = 64               // bytes of an agent's answer: a passcode of pairing
	maxSecret     = 128              // one for restoring, or a recovery code
	maxMessage    = 2048             // bytes of an error's message
	maxPrompt     = 1 << 20          // bytes of the lists shown to an agent
	maxAgents     = 64               // registered at one time
	maxUserAgents = 16               // and of one user: nobody keeps the others' away
	maxSubs       = 64               // subscribers at one time
	maxPerSender  = 8                // calls of one caller at one time
	maxCalls      = 32               // authorised calls at one time
	maxChecks     = 16               // questions to polkit at one time
	promptTime    = 5 * time.Minute  // for the owner to answer
	cancelTime    = 2 * time.Second  // for an agent to hear that a question is moot
	statusTime    = 30 * time.Second // for a backend to tell its status
)

// pathElement turns an identifier into an element of an object path: letters
// and digits stand for themselves, every other byte is _xx in hexadecimal.
func pathElement(id string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('_')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}
