package vault

import (
	"fmt"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// rootsWire is how a header and an index write down the class of each root: by
// its number, from 1, in the order of a restore.
type rootsWire map[string]uint8

func wireRoots(roots map[string]userdata.Class) rootsWire {
	w := make(rootsWire, len(roots))
	for root, class := range roots {
		w[root] = uint8(class.Rank() + 1)
	}
	return w
}

func (w rootsWire) parse() (map[string]userdata.Class, error) {
	roots := make(map[string]userdata.Class, len(w))
	classes := userdata.Classes()
	for root, number := range w {
		name, err := userdata.ParseName(root)
		if err != nil {
			return nil, err
		}
		if !name.IsRoot() || number == 0 || int(number) > len(classes) {
			return nil, fmt.Errorf("root %q of class %d", userdata.Printable(root), number)
		}
		roots[root] = classes[number-1]
	}
	return roots, nil
}

// rootsOf collects the roots of entries, of which no two differ in class.
func rootsOf(entries []Entry) map[string]userdata.Class {
	roots := make(map[string]userdata.Class)
	for _, e := range entries {
		roots[e.Name.Root()] = e.Class
	}
	return roots
}
