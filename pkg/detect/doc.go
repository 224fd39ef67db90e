// Package detect owns the verdicts: for each item, whether it is intact,
// changed, erased, corrupted or unavailable, and the evidence that says so.
// The rules stand in docs/detection.md.
//
// Judging is a pure function of a reference and a scan. It repairs nothing and
// starts nothing; the processes and the device's daemon import it.
package detect
