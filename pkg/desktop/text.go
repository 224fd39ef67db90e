package desktop

import (
	"fmt"
	"strings"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// maxListed is how many items a question lists.
const maxListed = 8

// shown makes a text that came over the bus fit to be shown.
func shown(s string) string { return cut(userdata.Printable(s), 300) }

// cut keeps a text to so many bytes of whole runes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-3], "") + "..."
}

// wrong says what was wrong with the entry before; empty if it is the first.
func wrong(what string, left int64, retry bool) string {
	switch {
	case !retry:
		return ""
	case left < 0:
		return fmt.Sprintf("That %s was wrong.", what)
	case left == 1:
		return fmt.Sprintf("That %s was wrong. One try is left.", what)
	}
	return fmt.Sprintf("That %s was wrong. %d tries are left.", what, left)
}

// every is the label for a time between two backups.
func every(seconds int64) string {
	const day = int64(24 * time.Hour / time.Second)
	switch {
	case seconds == day:
		return "Every day"
	case seconds == 7*day:
		return "Every week"
	case seconds%day == 0:
		return fmt.Sprintf("Every %d days", seconds/day)
	}
	return "Every " + (time.Duration(seconds) * time.Second).String()
}

// describe says what a restore would bring and replace.
func describe(s busapi.ReprovisionResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Comes back: %d.", s.Planned)
	if s.Quarantined > 0 {
		fmt.Fprintf(&b, " Replaced, and kept in the quarantine: %d.", s.Quarantined)
	}
	if len(s.Kept) > 0 {
		fmt.Fprintf(&b, " Changed since, and left as now: %d.", len(s.Kept))
	}
	for _, f := range s.Items[:min(len(s.Items), maxListed)] {
		fmt.Fprintf(&b, "\n%s: %s", shown(f.Verdict), shown(f.Path))
	}
	if more := s.Planned - maxListed; more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	return b.String()
}
