package panel

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
		return append([]string{"Pairing", "", "Enter this address", "at the device:", ""}, wrap(v.Address, 1)...)
	case Passcode:
		return append([]string{"Passcode", "", "Enter it at the", "device:", ""}, wrap(group(v.Passcode), 3)...)
	case Paired:
		return append([]string{"Paired with", ""}, wrap(v.Name, 3)...)
	case Alert:
		return append([]string{"Wrong passcode", ""}, wrap(v.Reason, 6)...)
	case Failed:
		return append([]string{"Pairing failed", ""}, wrap(v.Reason, 6)...)
	}
	if v.Notice != "" {
		return append(append([]string{"Backup overdue", ""}, wrap(v.Notice, 4)...), "", "Bring the device near")
	}
	return []string{"Smart card reader", "", "Press the button", "to pair a device."}
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
