package panel

import "fmt"

// State says what kind of thing the display shows.
type State string

// The states of the display. Their values are the names on D-Bus.
const (
	Idle     State = "idle"     // nothing goes on
	Address  State = "address"  // the reader's address, step 412
	Passcode State = "passcode" // the passcode, step 418
	Paired   State = "paired"   // with whom, after step 422
	Failed   State = "failed"   // why
	Alert    State = "alert"    // reprovisioning passcodes were wrong, step 620
	Progress State = "progress" // data come from a device, or go to it
)

// Task is what a device does with its data.
type Task string

// The tasks.
const (
	Saving    Task = "Saving"    // step 524
	Restoring Task = "Restoring" // step 624
)

// View is what the display shows. Only the field that belongs to the state is
// set. Name, Reason and Notice may hold a peer's text: Lines makes it safe.
type View struct {
	State    State
	Address  string // "00:1A:7D:DA:71:13"
	Passcode string // digits; here and in Lines only
	Name     string // of the device
	Reason   string
	Notice   string // what the owners should know; shown while nothing goes on
	Card     string // how the card stands, of Idle
	Task     Task   // of Progress, as is Name
	Bytes    int64  // moved so far, of Progress
}

// Size writes a number of bytes as people do, in at most 6 characters: "2.4 MB".
func Size(n int64) string {
	switch {
	case n < 0:
		return "0 B"
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n), []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	unit := ""
	for _, unit = range units {
		if v /= 1000; v < 999.5 {
			break
		}
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// The size of the display.
const (
	Columns = 21
	Rows    = 8
)

// Lines is the text of the display: at most Rows lines of at most Columns
// columns each, without control characters, whatever the fields hold.
func (v View) Lines() []string {
	lines := v.text()
	return lines[:min(len(lines), Rows)]
}

func (v View) text() []string {
	switch v.State {
	case Address:
		return append([]string{"Pairing", "", "Enter this address", "at the device:", ""}, Wrap(v.Address, Columns, 1)...)
	case Passcode:
		return append([]string{"Passcode", "", "Enter it at the", "device:", ""}, Wrap(group(v.Passcode), Columns, 3)...)
	case Paired:
		return append([]string{"Paired with", ""}, Wrap(v.Name, Columns, 3)...)
	case Alert:
		return append([]string{"Wrong passcode", ""}, Wrap(v.Reason, Columns, 6)...)
	case Progress:
		return append(append([]string{string(v.Task), ""}, Wrap(v.Name, Columns, 3)...), "", Size(v.Bytes))
	case Failed:
		return append([]string{"Pairing failed", ""}, Wrap(v.Reason, Columns, 6)...)
	}
	return append(v.idle(), v.card()...)
}

func (v View) idle() []string {
	if v.Notice != "" {
		return append(append([]string{"Backup overdue", ""}, Wrap(v.Notice, Columns, 4)...), "", "Bring the device near")
	}
	return []string{"Smart card reader", "", "Press the button", "to pair a device."}
}

// card comes last, and is what there is no room for on a full display.
func (v View) card() []string {
	if v.Card == "" {
		return nil
	}
	return append([]string{""}, Wrap(v.Card, Columns, 2)...)
}

// group sets digits in fours, as they are easier to read off: "1234 5678".
func group(code string) string {
	var out []byte
	for i := range len(code) {
		if i > 0 && i%4 == 0 {
			out = append(out, ' ')
		}
		out = append(out, code[i])
	}
	return string(out)
}
