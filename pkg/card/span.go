package card

// spanGap is the number of equal bytes that are written again rather than
// starting another write: about what a further APDU costs on a slow card.
const spanGap = 24

// span is a range of bytes, from off up to end.
type span struct{ off, end int }

// changed lists, in ascending order, the ranges of next that differ from old.
// Bytes that old lacks differ. Ranges less than spanGap apart are joined.
func changed(old, next []byte) []span {
	var spans []span
	for i := range next {
		if i < len(old) && old[i] == next[i] {
			continue
		}
		if n := len(spans); n > 0 && i-spans[n-1].end < spanGap {
			spans[n-1].end = i + 1
		} else {
			spans = append(spans, span{i, i + 1})
		}
	}
	return spans
}
