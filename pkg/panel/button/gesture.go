package button

import "time"

// Press is how the button was pressed.
type Press uint8

// The presses.
const (
	None  Press = iota
	Short       // let go soon
	Long        // still held
)

func (p Press) String() string {
	names := [...]string{"none", "short", "long"}
	if int(p) >= len(names) {
		return "unknown"
	}
	return names[p]
}

// gesture makes presses of a contact that bounces. A level counts once it has lasted for
// bounce: what is shorter was none.
type gesture struct {
	long, bounce time.Duration

	raw     bool      // as the contact last was
	rawAt   time.Time // since then
	down    bool      // what counts
	downAt  time.Time
	counted bool // this press is a long one, and was told
}

// edge hears that the contact has closed or opened.
func (g *gesture) edge(down bool, at time.Time) Press {
	p := g.tick(at)
	if down != g.raw {
		g.raw, g.rawAt = down, at
	}
	if again := g.tick(at); again != None {
		p = again
	}
	return p
}

// tick tells what has been pressed by then.
func (g *gesture) tick(at time.Time) Press {
	if g.raw != g.down && at.Sub(g.rawAt) >= g.bounce {
		return g.settle()
	}
	if g.down && g.raw && !g.counted && at.Sub(g.downAt) >= g.long {
		g.counted = true
		return Long
	}
	return None
}

// settle takes the contact's level for what counts.
func (g *gesture) settle() Press {
	g.down = g.raw
	if g.down {
		g.downAt, g.counted = g.rawAt, false
		return None
	}
	switch {
	case g.counted:
		return None
	case g.rawAt.Sub(g.downAt) >= g.long: // nobody looked meanwhile
		return Long
	}
	return Short
}

// wait is when to tick next; less than 0 for never.
func (g *gesture) wait(now time.Time) time.Duration {
	switch {
	case g.raw != g.down:
		return max(0, g.bounce-now.Sub(g.rawAt))
	case g.down && !g.counted:
		return max(0, g.long-now.Sub(g.downAt))
	}
	return -1
}
