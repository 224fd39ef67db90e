package scan

import (
	"slices"
	"strings"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// sortByName sorts in place, by name, and leaves the first of those that have one
// name. The elements are large: their places are sorted, and each is moved once.
func sortByName[T any](all []T, name func(*T) userdata.Name) []T {
	if increasing(all, name) {
		return all
	}
	places := make([]int, len(all))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(a, b int) int {
		if c := strings.Compare(string(name(&all[a])), string(name(&all[b]))); c != 0 {
			return c
		}
		return a - b
	})
	arrange(all, places)
	return firsts(all, name)
}

// firsts leaves the first of those that have one name.
func firsts[T any](all []T, name func(*T) userdata.Name) []T {
	n := min(1, len(all))
	for i := n; i < len(all); i++ {
		if name(&all[i]) == name(&all[n-1]) {
			continue
		}
		if i != n {
			all[n] = all[i]
		}
		n++
	}
	clear(all[n:])
	return all[:n]
}

func increasing[T any](all []T, name func(*T) userdata.Name) bool {
	for i := 1; i < len(all); i++ {
		if name(&all[i-1]) >= name(&all[i]) {
			return false
		}
	}
	return true
}

// arrange puts the element at places[i] to i, for all of them, one cycle of moves
// after the other. It uses up places.
func arrange[T any](all []T, places []int) {
	for i := range all {
		first, at := all[i], i
		for places[at] != i {
			from := places[at]
			all[at], places[at], at = all[from], at, from
		}
		all[at], places[at] = first, at
	}
}
