// Package vault owns data sets: what a backup consists of, how its contents
// are cut, packed, compressed and sealed on the device, and what the reader has
// to offer to store the sealed result (Store).
//
// On the device a Writer turns items into sealed blobs and a Commit, and
// LoadDataSet and Entry.Content turn them back. Whatever comes from the reader
// is treated as hostile: it is opened with the vault's Key and then checked as
// if it were not authentic. The reader never has the key. It keeps sealed
// blobs under opaque ids (package vault/bolt) and copies the critical part to
// the card (Portable).
//
// Nothing here runs by itself: no goroutine outlives a call. Links, sessions,
// schedules and settings are unknown here. The processes (backup, reprovision),
// the edges and the daemons may import this package. The formats are specified
// in docs/formats.md.
package vault
