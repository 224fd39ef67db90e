package vault

import "io"

// differ reads the new contents of a file and tells which parts the old ones had,
// wherever they lie now, as rsync does.
type differ struct {
	index *blockIndex
	sums  *strongSums
	// same is told of bytes that the old contents have from off on, in the order of the
	// new ones; fresh of the others. The bytes are valid until it returns.
	same  func(off int64, b []byte) error
	fresh func(b []byte) error

	buf   []byte
	start int // of what was told to nobody yet
	pos   int // of the block looked at
	end   int
	next  int // number of the block that is expected
	ended bool
}

// freshBytes is how much is collected before it is told as fresh.
const freshBytes = 1 << 20

// run reads all of r.
func (d *differ) run(r io.Reader) error {
	if need := freshBytes + 2*d.index.size; len(d.buf) < need {
		d.buf = make([]byte, need)
	}
	d.start, d.pos, d.end, d.next, d.ended = 0, 0, 0, 0, false
	power := weakPower(d.index.size)
	for {
		if err := d.more(r); err != nil {
			return err
		}
		if d.end-d.pos < d.index.size {
			break
		}
		if err := d.search(power); err != nil {
			return err
		}
	}
	return d.finish()
}

// more fills the buffer, when no whole block is left in it.
func (d *differ) more(r io.Reader) error {
	if d.ended || d.end-d.pos >= d.index.size {
		return nil
	}
	if d.pos-d.start >= freshBytes {
		if err := d.tell(d.pos); err != nil {
			return err
		}
	}
	copy(d.buf, d.buf[d.start:d.end])
	d.pos, d.end, d.start = d.pos-d.start, d.end-d.start, 0
	n, err := fill(r, d.buf[d.end:])
	d.ended = n < len(d.buf)-d.end
	d.end += n
	return err
}

// search moves on until the buffer has no whole block left, or a block was found
// behind fresh bytes.
func (d *differ) search(power uint32) error {
	n := d.index.size
	weak := weakOf(d.buf[d.pos : d.pos+n])
	for {
		if i, ok := d.index.find(weak, d.buf[d.pos:d.pos+n], d.next, d.sums); ok {
			return d.found(i)
		}
		if d.pos+n >= d.end {
			d.pos++
			return nil
		}
		out, in := uint32(d.buf[d.pos])+1, uint32(d.buf[d.pos+n])+1
		weak = (weak-out*power)*weakPrime + in
		d.pos++
	}
}

func (d *differ) found(i int) error {
	if err := d.tell(d.pos); err != nil {
		return err
	}
	b := d.buf[d.pos : d.pos+d.index.size]
	d.pos += len(b)
	d.start, d.next = d.pos, i+1
	return d.same(int64(i)*int64(d.index.size), b)
}

// tell hands on what is fresh before a position.
func (d *differ) tell(to int) error {
	if to == d.start {
		return nil
	}
	err := d.fresh(d.buf[d.start:to])
	d.start = to
	return err
}

// finish looks whether the old contents end in the same way.
func (d *differ) finish() error {
	x := d.index
	if rest := d.end - x.rest; x.rest > 0 && rest >= d.start && d.sums.of(d.buf[rest:d.end]) == x.tail {
		if err := d.tell(rest); err != nil {
			return err
		}
		return d.same(int64(x.count)*int64(x.size), d.buf[rest:d.end])
	}
	return d.tell(d.end)
}
